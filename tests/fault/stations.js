/*
 * stations: people of a crowd (crowd.js) who come by other ways than a WebSocket
 * over TCP to the plain door: at other doors, in lines, over the transport of
 * tests/doors/xor_transport.c. Their ports are d.linePort, d.xorPort and
 * d.xorLinePort.
 */
'use strict';

const assert = require('node:assert/strict');
const net = require('node:net');
const WebSocket = require('ws');
const {freePort, processLives, until} = require('../system/daemon.js');
const {Crowd, Person, successors} = require('./crowd.js');
const {XorSocket} = require('./xor.js');

/* A client of the line door: lines over TCP. */
class LinePerson extends Person {
	connect() {
		return net.connect(this.crowd.d.linePort, '127.0.0.1');
	}

	open() {
		const {crowd, user} = this;
		const socket = this.connect();
		let rest = '';
		this.ws = {terminate: () => socket.destroy()};
		this.socket = socket;
		return new Promise((resolve) => {
			socket.setEncoding('utf8');
			socket.setNoDelay();
			socket.on('connect', () => socket.write(`${user}\n`));
			socket.on('data', (text) => {
				const lines = (rest + text).split('\n');
				rest = lines.pop();
				for (const line of lines)
					if (line === '* your name?')
						resolve(true);
					else
						this.hear(line);
			});
			socket.on('error', (error) => this.error = error.message);
			socket.on('close', () => {
				this.closed = {at: performance.now()};
				crowd.people.delete(this);
				crowd.lost?.(this);
				resolve(false);
			});
		});
	}

	/* In two pieces, now and then. */
	say(text) {
		const at = this.told % 3;
		if (at > 0)
			this.socket.write(text.slice(0, at));
		this.socket.write(text.slice(at) + '\n');
	}

	whisper() {
		/* it hears them, and says none */
	}
}

/* A client of the centrifugo door, which says JSON strings. */
class CentrifugoPerson extends Person {
	async open() {
		const {crowd, user, device} = this;
		const ws = this.ws = new WebSocket(`ws://127.0.0.1:${crowd.d.port}` +
		    `/connection/websocket?user=${user}`);
		this.own = `${user} says: "${device} `;
		this.pad = '"';
		this.id = 2;
		return new Promise((resolve) => {
			ws.on('open', () => ws.send('{"id":1,"connect":{}}\n' +
			    '{"id":2,"subscribe":{"channel":"lobby"}}'));
			ws.on('message', (data) => {
				for (const line of data.toString().split('\n'))
					if (this.take(JSON.parse(line)))
						resolve(true);
			});
			ws.on('error', (error) => this.error = error.message);
			ws.on('close', (code, reason) => {
				this.closed = {code, reason: reason.toString()};
				crowd.people.delete(this);
				crowd.lost?.(this);
				resolve(false);
			});
		});
	}

	/* A reply or a push; true: it is subscribed. */
	take(m) {
		assert.equal(m.error, undefined, JSON.stringify(m));
		if (Object.keys(m).length === 0)
			this.ws.send('{}');
		const pub = m.push?.channel === 'lobby' && m.push.pub;
		if (pub)
			this.hear(`${pub.info.user} says: ` + (pub.data.text ??
			    JSON.stringify(pub.data)));
		if (m.push?.channel === `#${this.user}` && m.push.pub)
			this.hear(`${m.push.pub.info.user} whispers: ` +
			    m.push.pub.data.text);
		return m.id === 2;
	}

	say(text) {
		this.ws.send(JSON.stringify({id: ++this.id, publish:
		    {channel: 'lobby', data: text.replace(/"$/, '')}}));
	}

	whisper() {
		/* it has no such command */
	}
}

/* A client of the plain door, over records. */
class XorPerson extends Person {
	options() {
		this.socket = new XorSocket(this.crowd.d.xorPort);
		return {...super.options(), createConnection: () => this.socket};
	}
}

/* Lines over records. */
class XorLinePerson extends LinePerson {
	connect() {
		return new XorSocket(this.crowd.d.xorLinePort);
	}
}

/* So many ports. */
function freePorts(n) {
	return Promise.all(Array.from({length: n}, freePort));
}

/* Speakers and listeners of all those kinds. */
async function gather(d, kinds, pair, silent) {
	const crowd = new Crowd(d);
	const speakers = [];
	crowd.lost = (p) => crowd.broken = p;
	for (const Kind of kinds)
		for (let i = 0; i < pair + silent; i++) {
			const p = new Kind(crowd, `${Kind.name}${i}`.toLowerCase());
			crowd.people.add(p);
			assert.ok(await p.open(), p.error);
			if (i < pair)
				speakers.push(p);
		}
	await until('all are here', async () =>
	    (await d.json('show', 'users')).length === crowd.people.size);
	return {crowd, speakers};
}

/* All talk while something happens to the daemon; then all is judged. */
async function round(crowd, speakers, lines, what) {
	crowd.cut();
	crowd.talk(speakers);
	await until('lines', () => speakers.every((p) => p.echoed >= lines), 20000);
	await what();
	const told = speakers.map((p) => p.echoed);
	await until('lines after it', () => speakers.every((p, i) =>
	    p.echoed >= told[i] + lines), 20000);
	await crowd.judgeAll();
	assert.ok([...crowd.people].some((p) => p.whispers.length > 0 &&
	    p instanceof LinePerson), 'the line door heard no whisper');
}

/* Kills every worker at once. */
async function killAll(d) {
	const before = await d.json('show', 'workers');
	for (const w of before)
		process.kill(w.pid, 'SIGKILL');
	await successors(d, before.map((w) => w.slot), before);
}

/* Stops a worker; it is killed and replaced. */
async function hang(d, slot) {
	const before = await d.json('show', 'workers');
	process.kill(before[slot].pid, 'SIGSTOP');
	await until('the hung worker is killed', () =>
	    !processLives(before[slot].pid), 10000);
	await successors(d, [slot], before);
}

module.exports = {CentrifugoPerson, LinePerson, XorLinePerson, XorPerson,
    freePorts, gather, hang, killAll, round};
