// Writes a session of Express with Passport: what express-session gives its store.
const express = require('express')
const session = require('express-session')
const passport = require('passport')
const fs = require('fs')

class Keep extends session.Store {
  get (id, done) { done() }
  set (id, value, done) { fs.writeFileSync('express_passport_json.bin', JSON.stringify(value)); done() }
  destroy (id, done) { done() }
}

passport.serializeUser((user, done) => done(null, user.id))
const app = express()
app.use(session({ secret: 'a key for test data only', store: new Keep(), resave: false, saveUninitialized: false, cookie: { maxAge: 3600000 } }))
app.use(passport.initialize())
app.use(passport.session())
app.get('/', (request, response, next) => {
  request.logIn({ id: 4711, name: 'alice' }, error => {
    if (error) return next(error)
    request.session.cart = [{ sku: 'A-1', n: 2 }]
    response.end()
  })
})
const server = app.listen(0, '127.0.0.1', async () => {
  await fetch(`http://127.0.0.1:${server.address().port}/`)
  server.close()
})
