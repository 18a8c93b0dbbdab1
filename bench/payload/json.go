package payload

import (
	"bytes"
	"encoding/json"
	"time"
)

// jsonSession is a session as Node's express-session would write it.
type jsonSession struct {
	Cookie struct {
		MaxAge   int64  `json:"originalMaxAge"`
		Expires  string `json:"expires"`
		Secure   bool   `json:"secure"`
		HTTPOnly bool   `json:"httpOnly"`
		Path     string `json:"path"`
		SameSite string `json:"sameSite"`
	} `json:"cookie"`
	CSRF     string              `json:"csrfSecret"`
	Token    string              `json:"requestToken"`
	User     *jsonUser           `json:"user,omitempty"`
	ReturnTo string              `json:"returnTo"`
	Cart     []jsonCartItem      `json:"cart,omitempty"`
	Viewed   []jsonPageView      `json:"recentlyViewed,omitempty"`
	Flash    map[string][]string `json:"flash,omitempty"`
	Tracking []jsonAttribute     `json:"tracking,omitempty"`
}

type jsonUser struct {
	ID     int64    `json:"id"`
	Name   string   `json:"displayName"`
	Email  string   `json:"email"`
	Locale string   `json:"locale"`
	Roles  []string `json:"roles"`
	IP     string   `json:"ip"`
	Agent  string   `json:"userAgent"`
}

type jsonCartItem struct {
	SKU      string  `json:"sku"`
	Title    string  `json:"title"`
	Quantity int     `json:"quantity"`
	Price    float64 `json:"price"`
	Added    string  `json:"addedAt"`
}

type jsonPageView struct {
	Product int   `json:"productId"`
	At      int64 `json:"at"`
}

type jsonAttribute struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func encodeJSON(v *visit) template {
	var s jsonSession
	s.Cookie.MaxAge = 1_800_000
	s.Cookie.Expires = isoTime(v.lastSeen + s.Cookie.MaxAge)
	s.Cookie.Secure, s.Cookie.HTTPOnly = true, true
	s.Cookie.Path, s.Cookie.SameSite = "/", "lax"
	s.CSRF, s.Token, s.ReturnTo = v.csrf, placeholder, v.returnTo
	if !v.guest {
		s.User = &jsonUser{v.userID, v.name, v.email, v.locale, v.roles, v.address, v.agent}
	}
	for _, item := range v.cart {
		s.Cart = append(s.Cart, jsonCartItem{item.sku, item.title, item.quantity, float64(item.price) / 100, isoTime(item.added)})
	}
	for _, view := range v.viewed {
		s.Viewed = append(s.Viewed, jsonPageView{view.product, view.at})
	}
	if len(v.messages) > 0 {
		s.Flash = map[string][]string{"info": v.messages}
	}
	for _, a := range v.campaigns {
		s.Tracking = append(s.Tracking, jsonAttribute{a.name, a.value})
	}
	encoded, err := json.Marshal(&s)
	if err != nil {
		panic(err) // the struct has no field that could fail
	}
	return template{encoded, bytes.Index(encoded, []byte(placeholder))}
}

func isoTime(milliseconds int64) string {
	return time.UnixMilli(milliseconds).UTC().Format("2006-01-02T15:04:05.000Z")
}
