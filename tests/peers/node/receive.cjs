// Listens with node-hl7-server and answers AA; prints its port, then each message as a line of JSON.
// Usage: receive.cjs [CA CERTIFICATE KEY]. With files: TLS, and a certificate is asked of the sender.
'use strict'
const fs = require('fs')
const net = require('net')

// node-hl7-server hands its address over under a name that Node does not read, and would listen on all of them.
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (options, ...rest) {
  return listen.call(this, { ...options, host: '127.0.0.1', ipv6Only: false }, ...rest)
}
const { Server } = require('node-hl7-server')

const [ca, cert, key] = process.argv.slice(2)
const read = (file) => fs.readFileSync(file)
const tls = ca ? { ca: read(ca), cert: read(cert), key: read(key), requestCert: true } : undefined
const server = new Server({ bindAddress: '127.0.0.1', tls })
const inbound = server.createInbound({ port: 0 }, async (request, response) => {
  console.log(JSON.stringify(request.getMessage().toString()))
  await response.sendResponse('AA')
})
inbound.on('listen', () => console.log(inbound._socket.address().port))
inbound.on('data.error', (error) => console.error(error.message))
