/* quota: what tests of full tables and of their shares have in common. */
'use strict';

const assert = require('node:assert/strict');
const {Client} = require('./client.js');
const {Line, token} = require('./centrifugo.js');

/* A connection at the Centrifugo door from an address of loopback; `query` or
 * claims of a token say who it is. Refused: {error}. */
async function visitor(d, address, query = '', claims) {
	const l = new Line();
	l.id = 0;
	l.client = await Client.connect(d.port, '127.0.0.1',
	    {localAddress: address});
	await l.client.open('/connection/websocket' + query);
	l.welcome = await l.ask('connect', claims ? {token: token(claims)} : {});
	l.error = l.welcome.error;
	return l;
}

/* Subscribes to channels with those names, all in frames of at most 64; how
 * many it got, and the first error. */
async function subscribe(l, names) {
	let got = 0, error = null;
	for (let at = 0; at < names.length; at += 64) {
		const some = names.slice(at, at + 64);
		l.say(...some.map((channel) => ({id: ++l.id, subscribe: {channel}})));
		for (let k = 0; k < some.length; k++) {
			const reply = await l.hear();
			assert.ok(reply.id, JSON.stringify(reply));
			if (reply.subscribe)
				got++;
			else
				error ??= reply.error;
		}
	}
	return {got, error};
}

/* So many names that begin in a way, padded to a length. */
function names(prefix, n, length = 0) {
	return Array.from({length: n}, (_, i) =>
	    `${prefix}${i}.`.padEnd(length, 'x'));
}

module.exports = {names, subscribe, visitor};
