package payload

import (
	"bytes"
	"fmt"
	"strconv"
)

// encodePHP serializes v as PHP's default session handler does: name, a bar
// and a serialized value for each top-level variable.
func encodePHP(v *visit) template {
	var w phpWriter
	w.WriteString("_sf2_attributes|")
	w.attributes(v)
	w.WriteString("_sf2_flashes|")
	w.array(1)
	w.key("notice")
	w.array(len(v.messages))
	for i, m := range v.messages {
		w.integer(int64(i))
		w.text(m)
	}
	w.end()
	w.end()
	w.WriteString("_sf2_meta|")
	w.array(3)
	w.count("u", v.lastSeen/1000)
	w.count("c", v.created/1000)
	w.count("l", 0)
	w.end()
	return template{w.Bytes(), bytes.Index(w.Bytes(), []byte(placeholder))}
}

// phpWriter writes values in the format of PHP's serialize().
type phpWriter struct{ bytes.Buffer }

func (w *phpWriter) array(length int)        { fmt.Fprintf(w, "a:%d:{", length) }
func (w *phpWriter) end()                    { w.WriteByte('}') }
func (w *phpWriter) text(s string)           { fmt.Fprintf(w, "s:%d:\"%s\";", len(s), s) }
func (w *phpWriter) integer(n int64)         { fmt.Fprintf(w, "i:%d;", n) }
func (w *phpWriter) key(k string)            { w.text(k) }
func (w *phpWriter) pair(k, value string)    { w.text(k); w.text(value) }
func (w *phpWriter) count(k string, n int64) { w.text(k); w.integer(n) }
func (w *phpWriter) money(k string, cents int) {
	w.text(k)
	w.WriteString("d:" + strconv.FormatFloat(float64(cents)/100, 'f', -1, 64) + ";")
}

// attributes writes what the application itself keeps.
func (w *phpWriter) attributes(v *visit) {
	if v.guest {
		w.array(5)
	} else {
		w.array(8)
		w.pair("_csrf/https-checkout", v.csrf)
		w.pair("_security_main", v.email)
		w.key("user")
		w.user(v)
	}
	w.pair("_request_token", placeholder)
	w.pair("_locale", v.locale)
	w.key("cart")
	w.cart(v.cart)
	w.key("recently_viewed")
	w.views(v.viewed)
	w.key("tracking")
	w.array(len(v.campaigns))
	for _, a := range v.campaigns {
		w.pair(a.name, a.value)
	}
	w.end()
	w.end()
}

func (w *phpWriter) user(v *visit) {
	w.WriteString(`O:19:"App\Entity\Customer":6:{`)
	w.count("\x00*\x00id", v.userID)
	w.pair("\x00*\x00name", v.name)
	w.pair("\x00*\x00lastIp", v.address)
	w.pair("\x00*\x00userAgent", v.agent)
	w.pair("\x00*\x00targetPath", v.returnTo)
	w.key("\x00*\x00roles")
	w.array(len(v.roles))
	for i, role := range v.roles {
		w.integer(int64(i))
		w.text(role)
	}
	w.end()
	w.end()
}

func (w *phpWriter) cart(items []cartItem) {
	w.array(len(items))
	for i, item := range items {
		w.integer(int64(i))
		w.array(5)
		w.pair("sku", item.sku)
		w.pair("title", item.title)
		w.count("quantity", int64(item.quantity))
		w.money("price", item.price)
		w.count("added_at", item.added/1000)
		w.end()
	}
	w.end()
}

func (w *phpWriter) views(views []pageView) {
	w.array(len(views))
	for i, view := range views {
		w.integer(int64(i))
		w.array(2)
		w.count("product", int64(view.product))
		w.count("at", view.at/1000)
		w.end()
	}
	w.end()
}
