package owner

import (
	"os"
	"path/filepath"
	"testing"
)

// golden are values that the real libraries wrote and what paths find in them. Those
// of decode/testdata have one of each kind of value; those here are whole sessions.
var golden = []struct {
	file  string
	flags uint32
	path  string
	id    string // "": none
}{
	{"../decode/testdata/php.bin", 0, "php: id", "42"},
	{"../decode/testdata/php.bin", 0, "php: user", "Grüße"},
	{"../decode/testdata/php.bin", 0, "php: negative", "-7"},
	{"../decode/testdata/php.bin", 0, "php: small", "-9223372036854775808"},
	{"../decode/testdata/php.bin", 0, "php: list[2][0]", "3"},
	{"../decode/testdata/php.bin", 0, "php: map.5", "five"},
	{"../decode/testdata/php.bin", 0, "php: cart.items[1]", "y"},
	{"../decode/testdata/php.bin", 0, "php: own.k", "v"},
	{"../decode/testdata/php.bin", 0, "php: bytes", "\xff\x00"},
	{"../decode/testdata/php.bin", 0, "php: pi", ""},
	{"../decode/testdata/php.bin", 0, "php: cart", ""},
	{"../decode/testdata/session_php.bin", 0, "php: user", "alice"},
	{"../decode/testdata/session_php.bin", 0, "php_session: n.text", "with | and ; \""},
	{"../decode/testdata/session_php.bin", 0, "php_session: cart.**.1", "y"},
	{"../decode/testdata/session_php_binary.bin", 0, "php: n.a", "1"},
	{"../decode/testdata/session_php_serialize.bin", 0, "php: n.a", "1"},
	{"../decode/testdata/memcached_zlib.52.bin", 52, "php: n", "1"},
	{"../decode/testdata/memcached_fastlz.84.bin", 84, "php_serialize: n", "1"},
	{"../decode/testdata/igbinary.bin", 0, "php: id", "42"},
	{"../decode/testdata/igbinary.bin", 0, "igbinary: negative", "-7"},
	{"../decode/testdata/igbinary.bin", 0, "igbinary: big", "9223372036854775807"},
	{"../decode/testdata/igbinary.bin", 0, "igbinary: small", "-9223372036854775808"},
	{"../decode/testdata/igbinary.bin", 0, "igbinary: cart.items[0]", "x"},
	{"../decode/testdata/igbinary.bin", 0, "igbinary: map.x", "ex"},
	{"../decode/testdata/igbinary.bin", 0, "igbinary: own.k", "v"},
	{"../decode/testdata/igbinary.bin", 0, "igbinary: ref*", "5"},
	{"../decode/testdata/msgpack.bin", 0, "msgpack: user", "Grüße"},
	{"../decode/testdata/msgpack.bin", 0, "msgpack: id", "42"},
	{"../decode/testdata/msgpack.bin", 0, "msgpack: negative", "-7"},
	{"../decode/testdata/msgpack.bin", 0, "msgpack: small", "-9223372036854775808"},
	{"../decode/testdata/msgpack.bin", 0, "msgpack: map.x", "ex"},
	{"../decode/testdata/pickle0.bin", 0, "pickle: id", "42"},
	{"../decode/testdata/pickle1.bin", 0, "pickle: cart.items[1]", "y"},
	{"../decode/testdata/pickle2.bin", 0, "pickle: id", "42"},
	{"../decode/testdata/pickle2.bin", 0, "pickle: user", "Grüße 😀"},
	{"../decode/testdata/pickle3.bin", 0, "pickle: cart.items[1]", "y"},
	{"../decode/testdata/pickle4.bin", 0, "pickle: long", "1099511627776"},
	{"../decode/testdata/pickle4.bin", 0, "pickle: negative", "-7"},
	{"../decode/testdata/pickle4.bin", 0, "pickle: tuple4[3]", "4"},
	{"../decode/testdata/pickle5.bin", 0, "pickle: map.5", "five"},
	{"../decode/testdata/pickle5.bin", 0, "pickle: b[0]", "shared"},
	{"../decode/testdata/pickle5.bin", 0, "pickle: **.items[0]", "x"},
	{"../decode/testdata/pickle5.bin", 0, "pickle: pi", ""},
	{"../decode/testdata/marshal.bin", 0, "marshal: user", "Grüße"},
	{"../decode/testdata/marshal.bin", 0, "marshal: symbol", "value"},
	{"../decode/testdata/marshal.bin", 0, "marshal: id", "42"},
	{"../decode/testdata/marshal.bin", 0, "marshal: byte", "-129"},
	{"../decode/testdata/marshal.bin", 0, "marshal: neg", "-70000"},
	{"../decode/testdata/marshal.bin", 0, "marshal: map[5]", "five"},
	{"../decode/testdata/marshal.bin", 0, `marshal: cart."@items"[1]`, "y"},
	{"../decode/testdata/marshal.bin", 0, "marshal: money.amount", "5"},
	{"../decode/testdata/marshal.bin", 0, "marshal: default.k", "symbol"},
	{"../decode/testdata/marshal.bin", 0, "marshal: latin", "\xe9"},
	{"../decode/testdata/marshal.bin", 0, "marshal: big", ""},
	{"../decode/testdata/marshal_session.bin", 0, "marshal: user_id", "7"},
	{"../decode/testdata/java.bin", 0, "java: id", "42"},
	{"../decode/testdata/java.bin", 0, "java: long", "1099511627776"},
	{"../decode/testdata/java.bin", 0, "java: cart.owner", "alice"},
	{"../decode/testdata/java.bin", 0, "java: cart.base", "3"},
	{"../decode/testdata/java.bin", 0, "java: cart.items[1]", "y"},
	{"../decode/testdata/java.bin", 0, "java: cart.numbers[1]", "-2"},
	{"../decode/testdata/java.bin", 0, "java: tree.k", "v"},
	{"../decode/testdata/java.bin", 0, "java: concurrent.k", "v"},
	{"../decode/testdata/java.bin", 0, "java: big.signum", ""},
	{"../decode/testdata/java.bin", 0, "java: uuid", "00000000-0000-0001-0000-000000000002"},
	{"../decode/testdata/java.bin", 0, "java: uuid.leastSigBits", ""},
	{"../decode/testdata/msm.bin", 0, "msm: principal", "alice"},
	{"../decode/testdata/msm.bin", 0, "msm: attributes.user", "alice"},
	{"../decode/testdata/msm.bin", 0, "msm: attributes.cart[1]", "y"},
	{"../decode/testdata/msm.bin", 0, "msm: attributes.**.user", "alice"},
	{"../decode/testdata/msm.bin", 0, "msm: a*.**.user", "alice"},
	{"../decode/testdata/msm_kryo.bin", 0, "msm: attributes.user", ""},

	{"testdata/django_pickle.bin", 0, "pickle: _auth_user_id", "4711"},
	{"testdata/flask_pickle0.bin", 0, "pickle: _user_id", "4711"},
	{"testdata/flask_pickle4.bin", 0, "pickle: _user_id", "4711"},
	{"testdata/flask_msgpack.bin", 0, "msgpack: _user_id", "4711"},
	{"testdata/rails_devise_marshal.bin", 0, `marshal: "warden.user.user.key"[0][0]`, "4711"},
	{"testdata/rails_devise_marshal.bin", 0, `marshal: warden*[0][0]`, "4711"},
	{"testdata/rails_devise_bignum_marshal.bin", 0, `marshal: "warden.user.user.key"[0][0]`, "1099511627776"},
	{"testdata/laravel_php.bin", 0, "php: login_web_*", "4711"},
	{"testdata/laravel_cache_php.bin", 0, "php: ~login_web_*", "4711"},
	{"testdata/symfony_php.bin", 0, "php: _sf2_attributes._security_*~**.username", "alice@example.org"},
	{"testdata/plain_php.bin", 0, "php: user_id", "4711"},
	{"testdata/plain_php.bin", 0, "php: user.id", "4711"},
	{"testdata/express_passport_json.bin", 0, "json: passport.user", "4711"},
}

func TestGolden(t *testing.T) {
	for _, g := range golden {
		value, err := os.ReadFile(filepath.FromSlash(g.file))
		if err != nil {
			t.Fatal(err)
		}
		path, err := ParsePath(g.path)
		if err != nil {
			t.Fatal(err)
		}
		id, ok := Find(value, g.flags, []Path{path})
		if string(id) != g.id || ok != (g.id != "") {
			t.Errorf("%s: %q leads to %q, %v, not to %q", g.file, g.path, id, ok, g.id)
		}
	}
}
