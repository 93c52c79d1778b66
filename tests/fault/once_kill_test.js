/*
 * What counts once: the worker dies at each kill point that it passes while it
 * sends a ping and hears the pong, refuses a connect, or counts a message
 * against the rate: its replacement sees the same input again, and nobody is
 * disconnected for it. And while it does what the operator asked for: that is
 * done, and not twice.
 */
'use strict';

const {choose} = require('./builds.js');
choose('kill');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Daemon, pause, until} = require('../system/daemon.js');
const {SECRET, now, token} = require('../system/centrifugo.js');
const {workerState} = require('./crowd.js');
const {List} = require('./kill_points.js');
const {Visitor} = require('./visitor.js');

const PINGS = 'ping-interval 100ms\npong-timeout 1s\n';
const BETWEEN_MS = 400; /* 20 deaths in 10 s are too many */
const INPUT =
    /^(door|conn|room|takeover)\/|^hub\/(output|input)\.c/;
const ROOM = /^hub\/(subscription|presence|output)\.c/;
const JOURNAL = /^hub\/(journal|lock)\.c/;
const ORDER = /^(worker\/order|net\/link|hub\/(journal|lock))\.c/;
const WAIT = new RegExp('^(door/centrifugo/centrifugo|conn/(reader|io|write)|' +
    'room/publish|hub/(input|journal))\\.c');
const KICK =
    /^((conn|room|takeover)\/|hub\/(presence|slot|subscription|output))/;

/* A client that answers pings of the centrifugo door. */
class Person extends Visitor {
	constructor(d, target) {
		super(d, target);
		this.heard = [];
		this.pings = 0;
		this.ws.on('ping', () => this.pings++);
	}

	hear(text) {
		if (text !== '{}') {
			this.heard.push(text);
			return;
		}
		this.pings++;
		this.ws.send('{}');
	}

	/* The answer to what is said. */
	async ask(text) {
		const n = this.heard.length;
		this.ws.send(text);
		await this.wait(`an answer to ${text}`, () =>
		    this.heard.length > n);
		return this.heard[n];
	}
}

/* Waits until worker 0 runs. */
function runs(d) {
	return until('worker 0 runs', async () =>
	    (await workerState(d, 0)).state === 'running');
}

/* Kills at each point of those files that the act passes. For each there is a
 * set-up, an act, which gets what that has made, and an end. */
async function each(conf, files, setUp, act, end, workers = 1) {
	const list = new List();
	const d = await Daemon.start({workers, conf,
	    env: {CHATD_KILL_LIST: list.path}});
	const bad = [];
	let deaths = 0;
	try {
		let x = await setUp(d);
		await act(x); /* the first of all, for what is made once */
		await end(x);
		x = await setUp(d);
		const before = list.passes(files);
		await act(x);
		const points = [...list.passes(files)]
		    .filter(([k, n]) => n !== before.get(k)).map(([k]) => k);
		await end(x);
		for (const point of points) {
			x = await setUp(d);
			const fired = list.fired();
			list.arm(parseInt(point, 10));
			try {
				await act(x);
			} catch (error) {
				bad.push(`${point}: ${error.message}`);
			}
			list.arm(0, 0);
			deaths += list.fired() - fired;
			await runs(d);
			try {
				await end(x);
			} catch (error) {
				bad.push(`${point}: ${error.message}`);
			}
			await pause(list.fired() > fired ? BETWEEN_MS : 0);
		}
		console.log(`     ${deaths} deaths at ${points.length} points`);
		assert.deepEqual(bad, []);
		assert.ok(deaths > 5);
		await d.stop();
	} finally {
		await d.kill();
		list.remove();
	}
}

/* A connection ends, in order. */
async function leave(p) {
	p.ws.close();
	await until('it is closed', () => p.end !== null);
}

/* The operator says something new: all hear it once. */
async function says(people) {
	const text = `news ${++says.n}`;

	assert.equal((await people.d.ctl('say', text)).status, 0);
	for (const p of people.all) {
		await p.wait(text, () => p.heard.some((s) => s.endsWith(text)));
		await p.ask('/rooms');
		assert.equal(p.heard.filter((s) => s.endsWith(text)).length, 1);
	}
}
says.n = 0;

/* There is no worker that could do it: that is told, and done later. */
async function later() {
	const d = await Daemon.start({workers: 1, conf: 'watchdog 60s\n'});
	try {
		const p = await Person.open(d, '/ws?user=u');
		const {pid} = await workerState(d, 0);
		process.kill(pid, 'SIGSTOP');
		const r = await d.ctl('say', 'news');
		assert.equal(r.status, 1);
		assert.match(r.stderr, /no worker has done it yet/);
		process.kill(pid, 'SIGCONT');
		await p.wait('the news', () => p.heard.length > 0);
		await p.ask('/rooms');
		assert.equal(p.heard.filter((s) => /news$/.test(s)).length, 1);
		await leave(p);
		await d.stop();
	} finally {
		await d.kill();
	}
}

/* They wait more than they work: all run at the same time. */
const CASES = {
	'a ping and its pong': () => each(PINGS, INPUT, async (d) => {
		const p = await Person.open(d, '/connection/websocket?user=u');
		assert.match(await p.ask('{"id":1,"connect":{}}'), /"client"/);
		return p;
	}, async (p) => {
		const n = p.pings;
		await p.wait('pings', () => p.pings >= n + 3);
		await p.ask('{"id":2,"ping":{}}');
	}, leave),

	'a ping and its pong at the plain door': () => each(PINGS, INPUT,
	    (d) => Person.open(d, '/ws?user=u'), async (p) => {
		const n = p.pings;
		await p.wait('pings', () => p.pings >= n + 3);
	}, leave),

	'a refused connect': () => each(`token-key "${SECRET}"\n`,
	    INPUT, (d) => Person.open(d, '/connection/websocket'), async (p) => {
		const late = token({sub: 'u', exp: now() - 100});
		const answer = await p.ask(
		    JSON.stringify({id: 1, connect: {token: late}}));
		assert.match(answer, /"code":109,/);
	}, leave),

	'the rate of messages': () => each(
	    'message-rate 1/s burst 1\n', JOURNAL,
	    (d) => Person.open(d, '/ws?user=u'),
	    async (p) => assert.match(await p.ask('hello'), /: hello/), leave),

	'leaving a room': () => each('', ROOM, async (d) => {
		const p = await Person.open(d, '/ws?user=u');
		assert.equal(await p.ask('/join den'), '* joined den');
		return p;
	}, async (p) => {
		assert.equal(await p.ask('/leave den'), '* left den');
		assert.equal(await p.ask('/rooms'), '* you are in lobby');
	}, leave),

	'commands that wait for the next turn': () => each('', WAIT,
	    async (d) => {
		const p = await Person.open(d, '/connection/websocket?user=u');
		await p.ask('{"id":1,"connect":{}}');
		await p.ask('{"id":2,"subscribe":{"channel":"den"}}');
		p.heard = [];
		return p;
	}, async (p) => {
		const kinds = ['"publish":{"channel":"den","data":1}',
		    '"ping":{}', '"presence_stats":{"channel":"den"}'];
		const lines = Array.from({length: 15}, (_, k) =>
		    `{"id":${k + 3},${kinds[k % 3]}}`);
		p.ws.send(lines.join('\n'));
		p.ws.send('{"id":18,"ping":{}}');
		const answers = () => p.heard.map((s) => JSON.parse(s))
		    .filter((v) => v.id);
		await p.wait('the answers', () => answers().at(-1)?.id === 18);
		await p.wait('the publications', () =>
		    p.heard.length >= 16 + 5);
		assert.deepEqual(answers().map((v) => v.id),
		    Array.from({length: 16}, (_, k) => k + 3));
		assert.equal(p.heard.length, 16 + 5);
	}, leave),

	'what the operator says': () => each('', ORDER, async (d) => {
		const people = {d, all: []};
		for (let i = 0; i < 4; i++)
			people.all.push(await Person.open(d, `/ws?user=u${i}`));
		return people;
	}, says, async (people) => {
		for (const p of people.all)
			await leave(p);
	}, 2),

	'what the operator says while no worker can do it': later,

	'a kick': () => each('channel "*" {\njoin-leave yes\n}\n', KICK,
	    async (d) => {
		const p = await Person.open(d, '/ws?user=u');
		await p.ask('/join den');
		return {d, p};
	}, async ({d, p}) => {
		assert.equal((await d.ctl('kick', 'u')).status, 0);
		await until('it is closed', () => p.end !== null);
		assert.equal(p.end, '4001 kicked');
	}, ({d}) => until('it has left', async () =>
	    (await d.json('show', 'users')).length === 0))
};

group('what counts once', null, (test) => {
	const running = new Map();

	/* Starts all; one that fails is told of by its own test. */
	function begin() {
		for (const [title, run] of Object.entries(CASES)) {
			const end = run();
			end.catch(() => {});
			running.set(title, end);
		}
	}

	for (const title of Object.keys(CASES))
		test(title, () => {
			if (running.size === 0)
				begin();
			return running.get(title);
		}, {limit: 60000});
});
