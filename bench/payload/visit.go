package payload

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
)

// A visit is what a shop remembers about a visitor, before serialization.
type visit struct {
	guest     bool // has not logged in: nothing from userID to agent
	userID    int64
	name      string
	email     string
	roles     []string
	address   string // IP
	agent     string
	locale    string
	csrf      string // base64 of 32 bytes
	created   int64  // Unix milliseconds
	lastSeen  int64
	returnTo  string
	cart      []cartItem
	viewed    []pageView
	messages  []string
	campaigns []attribute
}

type cartItem struct {
	sku      string
	title    string
	quantity int
	price    int // cents
	added    int64
}

type pageView struct {
	product int
	at      int64
}

type attribute struct{ name, value string }

// smallestEntry is about the least number of bytes by which grow enlarges a
// serialized visit.
const smallestEntry = 60

// firstVisit is when the generated visits begin, in Unix milliseconds; they
// spread over a month.
const (
	firstVisit = 1_790_000_000_000
	month      = 30 * 24 * 3_600_000
)

func newVisit(rng *rand.Rand, guest bool) *visit {
	given, family := pick(rng, givenNames), pick(rng, familyNames)
	created := firstVisit + rng.Int64N(month)
	return &visit{
		guest:    guest,
		userID:   10_000 + rng.Int64N(4_000_000),
		name:     given + " " + family,
		email:    fmt.Sprintf("%s.%s%d@%s", strings.ToLower(given), strings.ToLower(family), rng.IntN(100), pick(rng, mailHosts)),
		locale:   pick(rng, locales),
		roles:    roles[:1+rng.IntN(len(roles))],
		address:  fmt.Sprintf("%d.%d.%d.%d", 11+rng.IntN(200), rng.IntN(256), rng.IntN(256), 1+rng.IntN(254)),
		agent:    fmt.Sprintf(pick(rng, agents), 100+rng.IntN(40), rng.IntN(10)),
		csrf:     token(rng, 43),
		created:  created,
		lastSeen: created + rng.Int64N(7_200_000),
		returnTo: fmt.Sprintf("/%s/%s?page=%d", pick(rng, sections), pick(rng, productNouns), 1+rng.IntN(30)),
	}
}

// grow adds entries of every kind that serialize to about size bytes, but at
// least one.
func (v *visit) grow(rng *rand.Rand, size int) {
	for size > 0 {
		at := v.created + rng.Int64N(7_200_000)
		switch r := rng.IntN(10); {
		case r < 4 && size > 180:
			v.cart = append(v.cart, newCartItem(rng, at))
			size -= 180
		case r < 7 && size > 120:
			v.messages = append(v.messages, sentence(rng))
			size -= 80
		case r < 8 && size > 140:
			v.campaigns = append(v.campaigns, attribute{pick(rng, campaignNames), token(rng, 24+rng.IntN(80))})
			size -= 120
		default:
			v.viewed = append(v.viewed, pageView{100_000 + rng.IntN(900_000), at})
			size -= smallestEntry
		}
	}
}

func newCartItem(rng *rand.Rand, at int64) cartItem {
	return cartItem{
		sku:      fmt.Sprintf("%c%c-%05d-%s", 'A'+rng.IntN(26), 'A'+rng.IntN(26), rng.IntN(100_000), pick(rng, sizes)),
		title:    pick(rng, productAdjectives) + " " + pick(rng, productNouns) + ", " + pick(rng, colours),
		quantity: 1 + rng.IntN(4),
		price:    199 + rng.IntN(30_000),
		added:    at,
	}
}

func sentence(rng *rand.Rand) string {
	words := make([]string, 5+rng.IntN(8))
	for i := range words {
		words[i] = pick(rng, sentenceWords)
	}
	return strings.ToUpper(words[0][:1]) + strings.Join(words, " ")[1:] + "."
}

func pick(rng *rand.Rand, from []string) string { return from[rng.IntN(len(from))] }

// token returns length characters of base64 over random bytes.
func token(rng *rand.Rand, length int) string {
	return base64.RawURLEncoding.EncodeToString(randomBytes(rng, length*3/4+1))[:length]
}

func randomBytes(rng *rand.Rand, n int) []byte {
	raw := make([]byte, n)
	for i := range raw {
		raw[i] = byte(rng.Uint32())
	}
	return raw
}
