/*
 * wss: npm ws over TLS, for tests/bench/run.sh: what a client says, all get.
 *
 *	node tests/bench/wss.js PORT CERTIFICATE KEY
 */
'use strict';

const fs = require('node:fs');
const https = require('node:https');
const {WebSocketServer} = require('../node_modules/ws');

const [port, cert, key] = process.argv.slice(2);
const server = https.createServer({cert: fs.readFileSync(cert),
    key: fs.readFileSync(key)});
const all = new WebSocketServer({server, perMessageDeflate: false});

all.on('connection', (ws) => {
	ws.on('error', () => {});
	ws.on('message', (data) => {
		for (const to of all.clients)
			to.send(data, {binary: false});
	});
});
server.listen(Number(port), '127.0.0.1');
