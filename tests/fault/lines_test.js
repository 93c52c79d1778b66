/*
 * A door that is two rows of tables (tests/doors/line_door.c), in a framing of
 * its own without HTTP: its clients talk with those of the plain and of the
 * centrifugo door, and nothing is lost, doubled, reordered or closed while all
 * workers are killed at once, one hangs, and the program is upgraded. LINES
 * names that chatd (make build/lines/chatd).
 */
'use strict';

const path = require('node:path');
process.env.CHATD = process.env.LINES ??
    path.join(__dirname, '../../build/lines/chatd');
const assert = require('node:assert/strict');
const net = require('node:net');
const WebSocket = require('ws');
const {group} = require('../system/suite.js');
const {Daemon, freePort, processLives} = require('../system/daemon.js');
const {Crowd, Person, successors, until} = require('./crowd.js');

const ROUNDS = 12;    /* kills of all workers */
const PAIR = 3;       /* speakers at each door */
const SILENT = 6;     /* and clients who only listen, at each */
const LINES = 10;     /* that each speaker hears of its own in a round */

/* A client of the door: lines over TCP. */
class LinePerson extends Person {
	open() {
		const {crowd, user} = this;
		const socket = net.connect(crowd.d.linePort, '127.0.0.1');
		let rest = '';
		this.ws = {terminate: () => socket.destroy()};
		this.socket = socket;
		return new Promise((resolve) => {
			socket.setEncoding('utf8').setNoDelay();
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

/* Speakers and listeners at all three doors. */
async function gather(d) {
	const crowd = new Crowd(d);
	const speakers = [];
	crowd.lost = (p) => crowd.broken = p;
	for (const Kind of [Person, LinePerson, CentrifugoPerson])
		for (let i = 0; i < PAIR + SILENT; i++) {
			const p = new Kind(crowd, `${Kind.name[0]}${i}`.toLowerCase());
			crowd.people.add(p);
			assert.ok(await p.open(), p.error);
			if (i < PAIR)
				speakers.push(p);
		}
	await until('all are here', async () =>
	    (await d.json('show', 'users')).length === crowd.people.size);
	return {crowd, speakers};
}

/* All talk while something happens to the daemon; then all is judged. */
async function round(crowd, speakers, what) {
	crowd.cut();
	crowd.talk(speakers);
	await until('lines', () => speakers.every((p) => p.echoed >= LINES), 20000);
	await what();
	const told = speakers.map((p) => p.echoed);
	await until('lines after it', () => speakers.every((p, i) =>
	    p.echoed >= told[i] + LINES), 20000);
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

group('a door of two rows', null, (test) => {
	test(`talks with other doors, over ${ROUNDS} deaths of all workers, ` +
	    'a hang and an upgrade', async () => {
		const port = await freePort(), linePort = await freePort();
		const d = await Daemon.start({listen: false, port, workers: 3,
		    conf: `listen 127.0.0.1:${port}\n` +
		    `listen 127.0.0.1:${linePort} lines line\n` +
		    'insecure yes\nwatchdog 500ms\n'});
		d.linePort = linePort;
		const {crowd, speakers} = await gather(d);
		for (let i = 0; i < ROUNDS; i++)
			await round(crowd, speakers, () => killAll(d));
		await round(crowd, speakers, () => hang(d, 1));
		await round(crowd, speakers, async () => {
			const r = await d.ctl('upgrade');
			assert.deepEqual([r.status, r.stderr], [0, '']);
		});
		console.log(`     ${crowd.judged} lines, each heard by ` +
		    `${crowd.people.size} clients at three doors`);
		await crowd.leave();
		await d.stop();
	}, {limit: 180000});

	test('a framing without pings has no pong to wait for', async () => {
		const port = await freePort(), linePort = await freePort();
		const d = await Daemon.start({listen: false, port, workers: 1,
		    conf: `listen 127.0.0.1:${port}\n` +
		    `listen 127.0.0.1:${linePort} lines line\ninsecure yes\n` +
		    'ping-interval 100ms\npong-timeout 100ms\n'});
		const deaf = () => new Promise((resolve) => {
			const ws = new WebSocket(`ws://127.0.0.1:${port}/ws?user=deaf`,
			    {autoPong: false});
			ws.on('error', () => {});
			ws.on('close', resolve);
		});
		d.linePort = linePort;
		const crowd = new Crowd(d), silent = new LinePerson(crowd, 'silent');
		crowd.people.add(silent);
		assert.ok(await silent.open(), silent.error);
		/* two that give no pong are found one after the other: by then
		 * the silent one has been looked at for longer */
		for (let i = 0; i < 2; i++)
			assert.equal(await deaf(), 4002);
		assert.equal(silent.closed, null);
		silent.socket.destroy();
		await d.stop();
	});

	test('an end is told in its framing, and half a name is none', async () => {
		const port = await freePort();
		const d = await Daemon.start({listen: false, port: await freePort(),
		    workers: 1, ready: false, conf: 'insecure yes\n' +
		    `message-size 1K\nlisten 127.0.0.1:${port} lines\n`});
		await until('ready', () => d.stderr.includes('ready'));
		const hear = (bytes) => new Promise((resolve, reject) => {
			const s = net.connect(port, '127.0.0.1');
			let all = '';
			s.on('connect', () => s.write(bytes));
			s.on('data', (text) => all += text);
			s.on('end', () => resolve(all));
			s.on('error', reject);
		});
		assert.equal(await hear('a\u0000b\n'),
		    '* your name?\n* closed 1008 protocol error\n');
		assert.equal(await hear('alice\n' + 'x'.repeat(1025)),
		    '* your name?\n* closed 1009 message too big\n');
		assert.equal(await hear(Buffer.from([0xff])),
		    '* your name?\n* closed 1007 invalid UTF-8\n');
		await d.stop();
	});
});
