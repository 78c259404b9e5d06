// Sends messages with node-hl7-client, each after the answer to the one before; prints each answer as a line of JSON.
// Usage: send.cjs PORT [CA CERTIFICATE KEY], a JSON list of messages on standard input. With files: TLS, both ways.
'use strict'
const fs = require('fs')
const { Client, Message } = require('node-hl7-client')

const [port, ca, cert, key] = process.argv.slice(2)
const messages = JSON.parse(fs.readFileSync(0, 'utf8'))
const read = (file) => fs.readFileSync(file)
const tls = ca ? { ca: read(ca), cert: read(cert), key: read(key), rejectUnauthorized: true } : undefined
const client = new Client({ host: '127.0.0.1', tls })

const next = async () => {
  const text = messages.shift()
  if (text === undefined) {
    await connection.close()
    process.exit(0)
  }
  await connection.sendMessage(new Message({ text }))
}
const connection = client.createConnection({ port: Number(port), waitAck: false }, async (answer) => {
  console.log(JSON.stringify(answer.getMessage().toString()))
  await next()
})
connection.on('client.error', (error) => {
  console.error(error.code || error.message)
  process.exit(1)
})
connection.once('connect', () => { void next() })
