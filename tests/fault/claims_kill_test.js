/*
 * What is told of a connection, and what its tokens say of it: worker 0 dies at
 * each kill point that it passes while a client connects with a token,
 * subscribes with one, publishes, unsubscribes, closes or is reset, or its
 * subscription expires, or it joins a room at the plain door. The next worker
 * goes on with it: everybody hears of each join, publication and leave once,
 * presence is true, and info and expiry are kept. LONG=1 dies at all of them,
 * else at some of each.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('kill');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Daemon, pause, until} = require('../system/daemon.js');
const {SECRET, now, token} = require('../system/centrifugo.js');
const {workerState} = require('./crowd.js');
const {List} = require('./kill_points.js');
const {Visitor} = require('./visitor.js');

const FILES = /^(door|conn|room|takeover)\/(?!relay)|^hub\/(?!frame|claim)/;
const DEATHS = 17, IN_MS = 10000; /* more than 20 in 10 s are too many */
const ALL = LONG ? Infinity : 5;
const TTL_S = 600;

const INSECURE = /^insecure yes$/m; /* no token expires then */
const CONF = `token-key "${SECRET}"\n` +
    ['*', 'lobby'].map((name) => `channel "${name}" {
	subscribe users
	publish subscribers
	history 10
	recovery yes
	presence yes
	join-leave yes
}
`).join('');

/* A client of any door. `story` is what is to be told of it, by channel. */
class Somebody extends Visitor {
	constructor(d, user, target) {
		super(d, target);
		this.user = user;
	}

	/* Whether it is in a channel. */
	in(channel) {
		return ['join', 'pub'].includes(this.story[channel].at(-1));
	}

	/* Ends; what is told of it is complete then. */
	async gone(watcher, how) {
		this.ws[how]();
		for (const channel of Object.keys(this.story))
			if (this.in(channel))
				this.story[channel].push('leave');
		await until('it is closed', () => this.end !== null);
		await until('its leaves', () => Object.entries(this.story)
		    .every(([channel, story]) => story.length === 0 ||
		    told(watcher, this)[channel].includes('leave')));
	}
}

/* One of the centrifugo door; what comes to it is kept. */
class Person extends Somebody {
	constructor(d, user) {
		super(d, user, '/connection/websocket');
		this.id = 0;
		this.replies = [];
		this.pushes = [];
		this.info = {about: user};
		this.forever = INSECURE.test(d.options.conf);
	}

	hear(text) {
		if (text === '{}')
			this.ws.send('{}');
		else for (const line of text.split('\n')) {
			const m = JSON.parse(line);
			(m.id ? this.replies : this.pushes).push(m);
		}
	}

	/* The one answer to a command. */
	async ask(name, request) {
		const n = this.replies.length, id = ++this.id;
		this.ws.send(JSON.stringify({id, [name]: request}));
		await this.wait(`an answer to ${name}`, () =>
		    this.replies.length > n);
		assert.equal(this.replies[n].id, id);
		const reply = this.replies[n][name];
		assert.ok(reply, JSON.stringify(this.replies[n]));
		return reply;
	}

	/* What the answer says of a claim's expiry. */
	expires(reply) {
		if (this.forever)
			return;
		assert.equal(reply.expires, true);
		assert.ok(reply.ttl > TTL_S - 60 && reply.ttl <= TTL_S);
	}

	async connect() {
		const reply = await this.ask('connect', {token: token({
		    sub: this.user, exp: now() + TTL_S,
		    info: this.info, channels: ['server', 'server']})});
		this.client = reply.client;
		this.expires(reply);
		assert.deepEqual(Object.keys(reply.subs).sort(),
		    [`#${this.user}`, 'server']);
		this.story = {server: ['join'], room: [], lobby: []};
	}

	async subscribe() {
		const reply = await this.ask('subscribe', {channel: 'room',
		    token: token({sub: this.user, channel: 'room',
			exp: now() + TTL_S, info: {of: 'room'}})});
		this.expires(reply);
		this.story.room.push('join');
	}

	/* Is subscribed for two seconds at most. */
	async visit() {
		await this.ask('subscribe', {channel: 'room', token: token({
		    sub: this.user, channel: 'room', exp: now() + 2,
		    info: {of: 'room'}})});
		this.story.room.push('join');
	}

	/* The server ends that, and says so once. */
	async expire() {
		this.ends = () => this.pushes.filter(({push}) =>
		    push.unsubscribe).map(({push}) =>
		    `${push.channel} ${push.unsubscribe.code}`);
		await this.wait('its end', () => this.ends().length > 0);
		this.story.room.push('leave');
	}

	async publish() {
		await this.ask('publish', {channel: 'room', data: this.user});
		this.story.room.push('pub');
	}

	async unsubscribe() {
		await this.ask('unsubscribe', {channel: 'room'});
		this.story.room.push('leave');
	}

	/* What it hears of itself: its leave it does not. */
	heard() {
		if (this.ends)
			assert.equal(this.ends().join(), 'room 2501');
		const all = told(this, this);
		for (const [channel, story] of Object.entries(this.story))
			assert.equal(all[channel].join(),
			    story.filter((what) => what !== 'leave').join(),
			    `${channel}, to its sender`);
	}
}

/* One of the plain door. */
class Plain extends Somebody {
	constructor(d, user) {
		super(d, user, `/ws?user=${user}`);
		this.lines = [];
		this.story = {lobby: ['join'], room: [], server: []};
	}

	hear(text) {
		if (text.startsWith('* '))
			this.lines.push(text);
	}

	async join() {
		this.ws.send('/join room');
		this.story.room.push('join');
		await this.wait('an answer', () => this.lines.length > 0);
		assert.deepEqual(this.lines, ['* joined room']);
	}

	heard() {}
}

/* What one was told of another, by channel. */
function told(watcher, person) {
	const all = {server: [], room: [], lobby: []};
	for (const {push} of watcher.pushes)
		for (const what of ['join', 'pub', 'leave']) {
			const {info} = push[what] ?? {};
			if (info?.user !== person.user)
				continue;
			all[push.channel].push(what);
			assert.deepEqual(info.conn_info, person.info,
			    `info of ${what}`);
			assert.deepEqual(info.chan_info, person.info &&
			    push.channel === 'room' ? {of: 'room'} : undefined,
			    `info of ${what} in ${push.channel}`);
		}
	return all;
}

/* Whether presence of a channel says the truth of somebody. */
async function present(watcher, p, channel, here) {
	const {presence} = await watcher.ask('presence', {channel});
	const found = Object.values(presence).filter((c) => c.user === p.user);
	assert.equal(found.length, here ? 1 : 0, `presence in ${channel}`);
	if (!here)
		return;
	assert.deepEqual(found[0].conn_info, p.info);
	assert.deepEqual(found[0].chan_info,
	    channel === 'room' && p.info ? {of: 'room'} : undefined);
}

/* What is done before, and what while the worker dies. */
const ACTS = {
	'connect': [[], ['connect']],
	'subscribe': [['connect'], ['subscribe']],
	'publish': [['connect', 'subscribe'], ['publish']],
	'unsubscribe': [['connect', 'subscribe'], ['unsubscribe']],
	'close': [['connect', 'subscribe'], ['close']],
	'reset': [['connect', 'subscribe'], ['terminate']],
	'expiry': [['connect', 'visit'], ['expire']],
	'/join': [[], ['join'], Plain],
	'plain close': [['join'], ['close'], Plain],
};

/* One act of one person, from the beginning to the end; `during` is called
 * before and after it. */
async function play(d, watcher, user, [before, acts, who], during) {
	const p = await (who ?? Person).open(d, user);
	const run = async (act) => p[act] ? p[act]() : p.gone(watcher, act);
	for (const act of before)
		await run(act);
	during(true);
	try {
		for (const act of acts)
			await run(act);
	} finally {
		during(false);
	}
	await until('worker 0 runs', async () =>
	    (await workerState(d, 0)).state === 'running');
	if (p.end === null) {
		for (const channel of Object.keys(p.story))
			await present(watcher, p, channel, p.in(channel));
		p.heard();
		await p.gone(watcher, 'close');
	}
	for (const channel of Object.keys(p.story))
		await present(watcher, p, channel, false);
	for (const [channel, story] of Object.entries(p.story))
		assert.equal(told(watcher, p)[channel].join(), story.join(),
		    channel);
	watcher.pushes = [];
}

/* Which pass of which point of those files belongs to an act. */
async function passes(list, perform) {
	let before, after;
	await perform((begins) => {
		if (begins)
			before = list.passes(FILES);
		else
			after = list.passes(FILES);
	});
	const all = [];
	for (const [point, n] of after)
		for (let k = 1; k <= n - (before.get(point) ?? 0n); k++)
			all.push([point, k]);
	return all;
}

/* Dies at so many of the passes in an act. */
async function die(title, act) {
	const list = new List();
	const d = await Daemon.start({workers: 1,
	    conf: act[2] === Plain ? `insecure yes\n${CONF}` : CONF,
	    env: {CHATD_KILL_LIST: list.path}});
	const bad = [], times = [];
	let n = 0;
	try {
		const watcher = await Person.open(d, 'watcher');
		await watcher.connect();
		await watcher.subscribe();
		await watcher.ask('subscribe', {channel: 'lobby'});
		const perform = (during) => {
			watcher.id %= 1000;
			return play(d, watcher, `u${n++}`, act, during);
		};
		await perform(() => {}); /* what is made once */
		const all = await passes(list, perform);
		const step = Math.ceil(all.length / ALL) || 1;
		for (let k = 0; k < all.length; k += step) {
			const [point, nth] = all[k];
			if (times.length >= DEATHS)
				await pause(times.at(-DEATHS) + IN_MS -
				    Date.now());
			const fired = list.fired();
			await perform((begins) => list.arm(
			    begins ? parseInt(point, 10) : 0, begins ? nth : 0))
			    .catch((error) => bad.push(
				`${point}, ${nth}: ${error.message}`));
			if (list.fired() > fired)
				times.push(Date.now());
		}
		console.log(`     ${title}: ${times.length} deaths, ` +
		    `${all.length} points passed`);
		assert.equal(bad.length, 0, bad.join('\n'));
		assert.ok(times.length > 2);
		watcher.ws.close();
		await d.clean();
		await d.stop();
	} finally {
		await d.kill();
		list.remove();
	}
}

/* They wait more than they work: all run at the same time. */
group('joins, leaves, claims', null, (test) => {
	const running = new Map();

	function begin() {
		for (const [title, act] of Object.entries(ACTS)) {
			const end = die(title, act);
			end.catch(() => {});
			running.set(title, end);
		}
	}

	for (const title of Object.keys(ACTS))
		test(`the worker dies at: ${title}`, () => {
			if (running.size === 0)
				begin();
			/* one that fails ends the others' daemons */
			return Promise.allSettled([...running.values()])
			    .then(() => running.get(title));
		}, {limit: LONG ? 600000 : 60000});
});
