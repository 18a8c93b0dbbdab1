package payload

import "strings"

// What visits are made of.
var (
	givenNames = strings.Fields(`Aylin Bruno Chiara Daan Elif Farid Greta Hugo Ines Jonas Katya
		Lars Mina Noor Oskar Paula Quentin Rosa Sven Tariq Ursula Vera Wanda Xenia Yusuf Zoe
		Amara Bela Cosima Dario Emeka Freya Gustav Hana Ilias Jelena Kenji Lucia Mateo Nadia`)
	familyNames = strings.Fields(`Adler Brandt Costa Dufour Eriksen Fischer Garcia Hoffmann Ivanova
		Jansen Kowalski Lindqvist Moreau Novak Okafor Petrov Quist Rossi Sato Tanaka Ulrich Vogel
		Weber Ximenes Yilmaz Zhang Albrecht Bauer Conti Dietrich Engel Frank Graf Hartmann`)
	mailHosts = strings.Fields(`example.com example.org example.net mail.example.com
		post.example.org inbox.example.net`)
	locales       = strings.Fields("de_DE en_GB en_US fr_FR it_IT es_ES nl_NL pl_PL tr_TR ja_JP")
	roles         = []string{"ROLE_USER", "ROLE_CUSTOMER", "ROLE_NEWSLETTER", "ROLE_EDITOR"}
	sections      = strings.Fields("shop catalogue account orders search offers brands wishlist")
	sizes         = strings.Fields("XS S M L XL 36 38 40 42 44")
	colours       = strings.Fields("anthracite ivory navy olive rust sand slate teal white black crimson")
	campaignNames = strings.Fields(`utm_campaign utm_source affiliate_ref ab_variant oauth_state
		remember_me payment_intent recommendation_token`)
	productAdjectives = strings.Fields(`Breathable Classic Compact Durable Folding Heavy Insulated
		Lightweight Organic Padded Recycled Reversible Slim Soft Striped Vintage Waterproof Woven`)
	productNouns = strings.Fields(`backpack blanket boots bottle cap coat desk-lamp gloves jacket
		jumper kettle lantern mug notebook pillow raincoat rucksack sandals scarf shirt sleeping-bag
		socks tent trousers umbrella vest`)
	sentenceWords = strings.Fields(`your order has been added to the basket please confirm address
		before payment we could not apply this voucher because it already expired delivery takes
		three days and returns are free until next month thank you for choosing our service welcome
		back profile was updated successfully item no longer available in selected size`)
	agents = []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.%d.0 Safari/537.36",
		"Mozilla/5.0 (X11; Linux x86_64; rv:%d.0) Gecko/20100101 Firefox/%[1]d.%d",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_%d like Mac OS X) AppleWebKit/605.1.%d (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
	}
)
