/*
 * centrifugo: what tests of that door share: tokens, the SDK's clients, and
 * bare connections that speak the protocol line by line.
 */
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const {Centrifuge} = require('centrifuge');
const WebSocket = require('ws');
const {Client} = require('./client.js');

const SECRET = 'a secret of tests, long enough for HS256';

/* A room that tells of joins and leaves. */
const TELL = `channel "tell" {
	subscribe all
	publish all
	presence yes
	join-leave yes
}
`;

/* Rooms for who has a token, of the connection and of each. */
const TOKENS = `token-key "${SECRET}"
channel "*" {
	subscribe token
	publish subscribers
	history 10
	recovery yes
	presence yes
}
`;

/* A token with those claims, signed. */
function token(claims, secret = SECRET, header = {alg: 'HS256', typ: 'JWT'}) {
	const part = (v) => Buffer.from(JSON.stringify(v)).toString('base64url');
	const text = part(header) + '.' + part(claims);
	return text + '.' + crypto.createHmac('sha256', secret).update(text)
	    .digest('base64url');
}

/* Seconds since 1970. */
function now() {
	return Math.floor(Date.now() / 1000);
}

const sdks = new Set();

/* A client of the SDK, which connects. */
function sdk(d, query = '', options = {}) {
	const c = new Centrifuge(
	    `ws://127.0.0.1:${d.port}/connection/websocket${query}`,
	    {websocket: WebSocket, minReconnectDelay: 20, maxReconnectDelay: 100,
		...options});
	sdks.add(c);
	c.on('error', () => {});
	c.connect();
	return c;
}

/* Disconnects all of them. */
function sdkLeave() {
	for (const c of sdks)
		c.disconnect();
	sdks.clear();
}

/* The next event of that name. */
function event(emitter, name, ms = 5000) {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() =>
		    reject(new Error(`no ${name} within ${ms} ms`)), ms);
		emitter.once(name, (context) => {
			clearTimeout(timer);
			resolve(context);
		});
	});
}

/* A subscription that is subscribed, with what it hears in .heard. */
async function subscribed(client, channel, options) {
	const sub = client.newSubscription(channel, options);
	sub.heard = [];
	sub.on('publication', (p) => sub.heard.push(p));
	sub.on('error', () => {});
	const ready = event(sub, 'subscribed');
	sub.subscribe();
	sub.context = await ready;
	return sub;
}

/* A connection that speaks JSON by hand. */
class Line {
	static async open(d, query = '') {
		const l = new Line();
		l.id = 0;
		l.client = await Client.open(d.port, '/connection/websocket' +
		    query);
		return l;
	}

	/* One that has connected. */
	static async connected(d, query, request = {}) {
		const l = await Line.open(d, query);
		l.welcome = await l.ask('connect', request);
		assert.ok(l.welcome.connect, JSON.stringify(l.welcome));
		return l;
	}

	/* Sends a frame of lines, objects or text. */
	say(...lines) {
		return this.client.text(lines.map((v) =>
		    typeof v === 'string' ? v : JSON.stringify(v)).join('\n'));
	}

	/* The next line as it came. */
	async raw(ms) {
		const text = await this.client.heard(ms);
		assert.ok(!text.includes('\n'), text);
		return text;
	}

	async hear(ms) {
		return JSON.parse(await this.raw(ms));
	}

	/* Sends a command; its reply, which must be the next thing but pushes,
	 * which are kept. */
	async ask(name, request = {}) {
		const id = ++this.id;
		this.pushes ??= [];
		this.say({id, [name]: request});
		for (;;) {
			const reply = await this.hear();
			if (reply.id === id)
				return reply;
			if (Object.keys(reply).length === 0) { /* a ping */
				this.say({});
				continue;
			}
			assert.ok(reply.push, JSON.stringify(reply));
			this.pushes.push(reply.push);
		}
	}

	/* The next push. */
	async push() {
		if (this.pushes?.length)
			return this.pushes.shift();
		const reply = await this.hear();
		assert.ok(reply.push, JSON.stringify(reply));
		return reply.push;
	}

	/* A command that is refused with that code. */
	async refused(name, request, code, message) {
		const reply = await this.ask(name, request);
		assert.equal(reply.error?.code, code, JSON.stringify(reply));
		if (message)
			assert.equal(reply.error.message, message);
		assert.equal(reply.error.temporary,
		    code === 100 || code === 111 ? true : undefined);
	}

	closed(code, reason, ms) {
		return this.client.closed(code, reason, ms);
	}
}

module.exports = {Line, SECRET, TELL, TOKENS, event, now, sdk, sdkLeave,
    subscribed, token};
