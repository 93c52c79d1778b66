/*
 * A machine that stalls costs nobody: processes that could not run are not
 * killed, nobody is closed, nothing is lost. The whole daemon stopped and
 * continued in every order, 2 % of a processor, 64 workers on a busy machine,
 * keepers that stand still while another worker takes over from them. What does
 * hang beside it is found in time. LONG=1 takes longer.
 *
 * The wall clock is not set here: others use this machine. It judges nobody
 * (include/base/clock.h), and a late look is for tests/unit/watchdog_stall_test.c.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const {spawn} = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const WebSocket = require('ws');
const {group} = require('../system/suite.js');
const {Daemon, processLives, processStat} = require('../system/daemon.js');
const {Crowd, patience, pause, until} = require('./crowd.js');

const WORKERS = 3;
const PLAIN = 18;          /* clients at the plain door, */
const READERS = 6;         /* at Centrifugo's */
const SPEAKERS = 4;        /* of the former, */
const SAY_MS = 20;         /* say a line so often */
const WINDOW = 20;         /* as long as so few have not come back */
const WATCHDOG_MS = 2000;  /* the default */
const GRACE_MS = 1000;     /* from the watchdog's time to a kill */
const BURNERS = 24;        /* programs beside it that want all of a processor */
const STOP_MS = 4000;      /* master.c: after TERM workers are killed */
const THAW_MS = 400;       /* from the first process continued to the last one */
/* Pings that are due at the thaw must not close anybody. */
const CONF = 'ping-interval 500ms\npong-timeout 3s\n';
const MASTER = (c) => [c.master, ...shuffled([...c.workers, ...c.keepers])];
const ORDERS = {
	'master first': MASTER,
	'master last': (c) => MASTER(c).reverse(),
	'keepers last': (c) => [...shuffled([c.master, ...c.workers]),
	    ...shuffled(c.keepers)],
	'random': (c) => shuffled(MASTER(c))
};

/* A list in random order. */
function shuffled(list) {
	const all = [...list];
	for (let i = all.length - 1; i > 0; i--) {
		const k = Math.floor(Math.random() * (i + 1));
		[all[i], all[k]] = [all[k], all[i]];
	}
	return all;
}

/* Sends a signal to a process that must be there. */
function send(pid, signal) {
	try {
		process.kill(pid, signal);
	} catch (error) {
		throw new Error(`${pid} was killed: ${signal}: ${error.message}`);
	}
}

/* The daemon's processes. */
async function cast(d) {
	const all = await d.json('show', 'workers');
	return {master: d.pid, workers: all.map((w) => w.pid),
	    pairs: all.map((w) => w.keepers),
	    keepers: all.flatMap((w) => w.keepers)};
}

/* A client at Centrifugo's door that reads the lobby. */
class Reader {
	constructor(d, user) {
		this.user = user;
		this.heard = []; /* what the plain door would say */
		this.next = null; /* offset */
		this.wrong = null;
		this.ws = new WebSocket(`ws://127.0.0.1:${d.port}` +
		    `/connection/websocket?user=${user}`);
		this.ws.on('error', (error) => this.wrong ??= error.message);
		this.ws.on('close', (code, why) =>
		    this.wrong ??= `closed: ${code} ${why}`);
		this.ws.on('open', () => this.ws.send('{"id":1,"connect":{}}\n' +
		    '{"id":2,"subscribe":{"channel":"lobby"}}'));
		this.ws.on('message', (data) => String(data).split('\n')
		    .forEach((line) => this.hear(line)));
	}

	hear(line) {
		if (line === '{}') {
			this.ws.send('{}');
			return;
		}
		const {id, push, error} = JSON.parse(line);
		if (error || push?.unsubscribe || push?.disconnect)
			this.wrong ??= line;
		if (id === 2)
			this.ready = true;
		const pub = push?.pub;
		if (!pub)
			return;
		if (this.next !== null && pub.offset !== this.next)
			this.wrong ??= `offset ${pub.offset}, not ${this.next}`;
		this.next = pub.offset + 1;
		this.heard.push(`${pub.info.user} says: ${pub.data.text}`);
	}
}

/* A daemon with clients at both doors who talk, and what became of it. */
class Scene {
	static async open(options = {}, plain = PLAIN) {
		const s = new Scene();
		s.d = await Daemon.start({workers: WORKERS, conf: CONF, ...options});
		s.crowd = await Crowd.unbroken(s.d, plain);
		s.readers = Array.from({length: READERS}, (_, i) =>
		    new Reader(s.d, `r${i}`));
		await until('the readers are in', () =>
		    s.readers.every((r) => r.ready));
		await s.crowd.locate();
		s.cast = await cast(s.d);
		s.crowd.cut();
		s.crowd.speakers = [...s.crowd.people].slice(0, SPEAKERS);
		s.timer = setInterval(() => s.speak(), SAY_MS);
		await s.goesOn();
		return s;
	}

	/* Everybody says a line, also to a daemon that stands still. */
	speak() {
		for (const p of this.crowd.speakers)
			if (p.told - p.echoed < WINDOW)
				p.say(`${p.device} ${++p.told}`);
	}

	/* All who speak hear more of their lines. */
	async goesOn(ms = 10000) {
		const had = this.crowd.speakers.map((p) => p.echoed);
		await until('all go on', () => this.crowd.broken ||
		    this.crowd.speakers.every((p, i) => p.echoed > had[i] + 5), ms);
	}

	stop(pids) {
		for (const pid of pids)
			send(pid, 'SIGSTOP');
	}

	/* Continues them one after the other, within THAW_MS. Some may have
	 * left by then if the daemon is ending. */
	async thaw(pids, ending = false) {
		const begin = performance.now();
		const due = pids.map(() => Math.random() * THAW_MS)
		    .sort((a, b) => a - b);
		for (const [i, pid] of pids.entries()) {
			const ms = begin + due[i] - performance.now();
			if (ms > 1)
				await pause(ms);
			if (!ending || processLives(pid))
				send(pid, 'SIGCONT');
		}
	}

	/* The places whose processes are not those that were there: a next
	 * worker has two keepers of its own. */
	async changed() {
		const now = await cast(this.d);
		const before = this.cast;
		return before.workers.map((pid, i) =>
		    pid !== now.workers[i] ? `worker ${i}` :
		    `${before.pairs[i]}` !== `${now.pairs[i]}` && `keepers ${i}`)
		    .filter((x) => x);
	}

	/* Everybody is there and has heard everything; of the processes only
	 * those have been replaced. */
	async judge(replaced = []) {
		clearInterval(this.timer);
		await this.crowd.judgeAll();
		const [all] = this.crowd.people;
		await until('the readers have heard all', () =>
		    this.readers.every((r) => r.wrong ||
			r.heard.at(-1) === all.heard.at(-1)));
		for (const r of this.readers) {
			assert.equal(r.wrong, null, `${r.user}: ${r.wrong}`);
			/* it came while others talked already, or before */
			const common = Math.min(r.heard.length, all.heard.length);
			assert.deepEqual(r.heard.slice(-common),
			    all.heard.slice(-common), r.user);
			assert.ok(common >= all.heard.length - 1, r.user);
		}
		assert.deepEqual(await this.changed(), replaced);
		const users = [...this.crowd.people, ...this.readers]
		    .map((p) => p.user).sort();
		assert.deepEqual((await this.d.json('show', 'users'))
		    .map((u) => u.user).sort(), users);
		this.lines = all.heard.length;
	}

	async close() {
		clearInterval(this.timer);
		this.crowd.lost = null;
		for (const one of [...this.crowd.people, ...this.readers])
			one.ws.terminate();
		await this.d.clean();
		await this.d.stop();
	}
}

/* Runs scenarios beside each other, since they wait most of their time; says
 * which ones failed, with the end of the daemon's log. */
async function beside(scenarios) {
	const wrong = [];
	await Promise.all(Object.entries(scenarios).map(async ([name, run]) => {
		const held = {};
		try {
			const told = await run(held);
			console.log(`     ${name}: ${told}`);
		} catch (error) {
			clearInterval(held.scene?.timer);
			wrong.push(`${name}: ${error.stack}\n` +
			    (held.scene?.d.stderr ?? '').split('\n')
				.filter((line) => /warn|error/.test(line))
				.slice(0, 20).join('\n'));
		}
	}));
	assert.equal(wrong.length, 0, wrong.join('\n\n'));
}

/* All processes stop for a while and go on in that order. Those of `stay` do
 * not: they hang. A keeper that does is noticed when it is needed: then the
 * worker of that place is killed. */
async function freeze(held, ms, order, stay = () => [], place = -1) {
	const s = held.scene = await Scene.open();
	const stays = stay(s.cast);
	s.stop(shuffled(MASTER(s.cast)));
	await pause(ms);
	await s.thaw(order(s.cast).filter((pid) => !stays.includes(pid)));
	const thawed = performance.now();
	const found = [];
	if (place !== -1)
		send(s.cast.workers[place], 'SIGKILL');
	for (const pid of place === -1 ? stays : []) {
		await until(`${pid}, which hangs, is killed`, () =>
		    !processLives(pid), 3 * WATCHDOG_MS + 5000);
		found.push(Math.round(performance.now() - thawed));
	}
	if (!found.length)
		await s.goesOn();
	const on = Math.round(performance.now() - thawed);
	for (const at of place === -1 ? found : [on])
		assert.ok(at <= WATCHDOG_MS + GRACE_MS * patience(),
		    `found after ${at} ms`);
	/* whatever is judged by the stall, is by then */
	await pause(Math.max(0, WATCHDOG_MS + 500 - on));
	await s.goesOn();
	await s.judge(s.cast.workers.map((pid, i) =>
	    (stays.includes(pid) || i === place) && `worker ${i}`)
	    .filter((x) => x));
	await s.close();
	return `all went on after ${on} ms, ${s.lines} lines` +
	    (found.length ? `, what hung was killed after ${found} ms` : '');
}

/* The stop comes just before the machine stands still for longer than a stop may
 * take: everybody is told nevertheless, nobody is killed. */
async function end(held) {
	const s = held.scene = await Scene.open();
	const people = [...s.crowd.people];
	clearInterval(s.timer);
	s.crowd.lost = null;
	s.stop(s.cast.workers);
	process.kill(s.d.pid, 'SIGTERM');
	await s.d.logged(/stopping/);
	s.stop([s.d.pid, ...s.cast.keepers]);
	await pause(STOP_MS + 500);
	await s.thaw(ORDERS['master first'](s.cast), true);
	const ms = await s.d.stop(null);
	assert.deepEqual(people.map((p) => p.closed?.code),
	    people.map(() => 1001));
	assert.doesNotMatch(s.d.stderr, /killed/);
	return `it left ${ms} ms after the last one went on`;
}

/* Two workers hang at once, without a stall: both are found. */
async function hangTwice(held) {
	const s = held.scene = await Scene.open();
	s.stop(s.cast.workers.slice(0, 2));
	const begin = performance.now();
	const found = [];
	for (let i = 0; i < 2; i++) {
		await until('one of them is killed', () =>
		    s.cast.workers.filter((pid) => !processLives(pid)).length > i,
		    WATCHDOG_MS + 5000);
		found.push(Math.round(performance.now() - begin));
	}
	assert.ok(found[0] <= WATCHDOG_MS + GRACE_MS * patience(), `${found}`);
	assert.ok(found[1] <= 2 * (WATCHDOG_MS + GRACE_MS * patience()),
	    `${found}`);
	await s.goesOn();
	await s.judge(['worker 0', 'worker 1']);
	await s.close();
	return `killed after ${found} ms`;
}

/*
 * A control group, by version 2 or 1: 'cpu' limits the processor time of its
 * processes, 'freezer' stops them whatever signal they get.
 */
class Cgroup {
	static made = new Set();

	static kinds = {
		cpu: [['', 'cpu.max', (q) => `${q} 100000`],
		    ['/unified', 'cpu.max', (q) => `${q} 100000`],
		    ['/cpu', 'cpu.cfs_quota_us', (q) =>
			q === 'max' ? '-1' : `${q}`]],
		freezer: [['', 'cgroup.freeze', (on) => on ? '1' : '0'],
		    ['/unified', 'cgroup.freeze', (on) => on ? '1' : '0'],
		    ['/freezer', 'freezer.state', (on) =>
			on ? 'FROZEN' : 'THAWED']]
	};

	/* null: none can be made here. */
	static make(kind) {
		const name = `chatd-test-${process.pid}-${Cgroup.made.size}`;
		for (const [under, file, text] of Cgroup.kinds[kind]) {
			const c = new Cgroup();
			c.root = `/sys/fs/cgroup${under}`;
			c.dir = path.join(c.root, name);
			c.file = path.join(c.dir, file);
			c.text = text;
			try {
				fs.mkdirSync(c.dir);
			} catch {
				continue;
			}
			if (fs.existsSync(c.file)) {
				Cgroup.made.add(c);
				return c;
			}
			fs.rmdirSync(c.dir);
		}
		console.log(`skip  control group ${kind}: cannot be made here ` +
		    '(needs root)');
		return null;
	}

	/* cpu: microseconds of each 100 ms, or 'max'; freezer: true or false. */
	set(value) {
		fs.writeFileSync(this.file, this.text(value));
	}

	take(pids) {
		for (const pid of pids)
			fs.writeFileSync(path.join(this.dir, 'cgroup.procs'),
			    `${pid}`);
	}

	/* Gives its processes back and goes. */
	drop() {
		const procs = path.join(this.dir, 'cgroup.procs');
		if (!fs.existsSync(procs))
			return;
		for (const pid of fs.readFileSync(procs, 'latin1').split('\n'))
			try {
				fs.writeFileSync(path.join(this.root,
				    'cgroup.procs'), pid);
			} catch {} /* it has died */
		try {
			fs.rmdirSync(this.dir);
		} catch {} /* what died there is not reaped yet */
	}
}

process.on('exit', () => {
	for (const c of Cgroup.made)
		c.drop();
});

/* Programs that do nothing but need a processor. */
function burn(n) {
	const all = Array.from({length: n}, () =>
	    spawn('/bin/sh', ['-c', 'while :; do :; done'], {stdio: 'ignore'}));
	return {pids: all.map((child) => child.pid),
	    end: () => all.forEach((child) => child.kill('SIGKILL'))};
}

/* The daemon, and other programs of its group, have 2 % of a processor while its
 * clients say what they can. */
async function starve(held, quota, ms, who) {
	const s = held.scene = await Scene.open({conf: ''});
	const burning = burn(BURNERS);
	const before = s.crowd.speakers[0].echoed;
	try {
		quota.take([...who(s.cast), ...burning.pids]);
		quota.set(2000);
		await pause(ms);
	} finally {
		burning.end();
		quota.set('max');
	}
	const lines = s.crowd.speakers[0].echoed - before;
	await s.goesOn();
	await s.judge();
	await s.close();
	return `a speaker said ${lines} lines in ${ms / 1000} s`;
}

/* Many workers on a machine with more to do than it can, which stands still for
 * a while. */
async function crush(held, load, ms) {
	const s = held.scene = await Scene.open({workers: 64, conf: ''});
	const burning = burn(load);
	try {
		await pause(ms);
		s.stop(shuffled(MASTER(s.cast)));
		await pause(WATCHDOG_MS + 1000);
		await s.thaw(MASTER(s.cast));
		await s.goesOn(30000);
		await pause(ms);
	} finally {
		burning.end();
	}
	await s.goesOn();
	await s.judge();
	await s.close();
	return `${load} other programs, ${s.lines} lines`;
}

/* A process stands still for so long, though others continue it. */
async function hold(pid, ms) {
	const freezer = Cgroup.make('freezer');
	const limit = performance.now() + ms;
	try {
		if (freezer) {
			freezer.take([pid]);
			freezer.set(true);
			await pause(ms);
			freezer.set(false);
		} else {
			do {
				send(pid, 'SIGSTOP');
				await pause(5);
			} while (performance.now() < limit);
			send(pid, 'SIGCONT');
		}
	} finally {
		freezer?.drop();
	}
}

/* Each worker is killed while its keeper stands still, each for another time;
 * the kill comes at the beginning, in the middle or near the end. */
async function late(held, times, at) {
	const s = held.scene = await Scene.open({workers: times.length});
	const begin = performance.now();
	await Promise.all(times.map(async (ms, i) => {
		const held = hold(s.cast.pairs[i][0], ms);
		await pause(ms * at);
		process.kill(s.cast.workers[i], 'SIGKILL');
		await held;
	}));
	await s.goesOn();
	const on = Math.round(performance.now() - begin);
	await s.judge(times.map((_, i) => `worker ${i}`));
	await s.close();
	return `all went on after ${on} ms`;
}

/* A keeper is stopped once and for ever, then its worker dies. */
async function forgotten(held) {
	const s = held.scene = await Scene.open();
	s.stop([s.cast.keepers[0]]);
	await until('it is stopped', () =>
	    processStat(s.cast.keepers[0]).state === 'T');
	process.kill(s.cast.workers[0], 'SIGKILL');
	const begin = performance.now();
	await s.goesOn();
	const on = Math.round(performance.now() - begin);
	assert.ok(on <= GRACE_MS * patience(), `it took ${on} ms`);
	await s.judge(['worker 0']);
	await s.close();
	return `all went on after ${on} ms`;
}

/* A worker that has retired is stopped before it has given its connections to the
 * next one: only one whose keepers are dead gives them. */
async function retired(held) {
	const s = held.scene = await Scene.open({workers: 1});
	const [old] = s.cast.workers;
	s.stop([old, s.d.pid]);
	for (const pid of s.cast.keepers)
		send(pid, 'SIGKILL');
	send(s.d.pid, 'SIGCONT');
	await s.d.logged(/both keepers of worker 0 are dead/);
	await pause(200); /* it is told so: while the master stands still it */
	s.stop([s.d.pid]); /* retires, and waits for the next one */
	send(old, 'SIGCONT');
	await pause(300);
	s.stop([old]);
	send(s.d.pid, 'SIGCONT');
	const begin = performance.now();
	await s.goesOn();
	const on = Math.round(performance.now() - begin);
	await s.d.logged(/has retired and was stopped/);
	assert.ok(on <= GRACE_MS * patience(), `it took ${on} ms`);
	await s.judge(['worker 0']);
	await s.close();
	return `all went on after ${on} ms`;
}

group('stall', null, (test) => {
	/* [name, scenario] of a stop of all for so many seconds. */
	const stop = (s, name) => [`${s} s, ${name}`, (held) =>
	    freeze(held, s * 1000, ORDERS[name])];

	for (const s of LONG ? [3, 7, 20] : [])
		test(`all stop for ${s} s`, () => beside(Object.fromEntries(
		    Object.keys(ORDERS).map((name) => stop(s, name)))),
		{limit: 60000 + s * 1000});

	test('all stop, and what hangs beside it is found', () => beside({
		...Object.fromEntries([stop(3, 'master first'),
		    stop(3, 'keepers last'), stop(7, 'master last'),
		    stop(7, 'random')]),
		'a worker hangs': (held) => freeze(held, 3000, ORDERS.random,
		    (c) => c.workers.slice(1, 2)),
		'both keepers of a worker hang': (held) => freeze(held, 3000,
		    ORDERS['master first'], (c) => c.pairs[1], 1),
		'TERM before it': end,
		'two workers hang, no stop': hangTwice
	}), {limit: 60000});

	test('2 % of a processor', async () => {
		const quotas = [Cgroup.make('cpu'), Cgroup.make('cpu')];
		const ms = LONG ? 20000 : 6000;
		if (!quotas[0])
			return;
		try {
			await beside({
				'all of it': (held) =>
				    starve(held, quotas[0], ms, MASTER),
				'all but the master': (held) =>
				    starve(held, quotas[1], ms, (c) =>
					[...c.workers, ...c.keepers])
			});
		} finally {
			await Daemon.killAll();
			for (const quota of quotas)
				quota.drop();
		}
	}, {limit: 90000});

	test('64 workers on a busy machine', () => beside({
		'busy': (held) => crush(held, LONG ? 100 : 20, LONG ? 15000 : 1500)
	}), {limit: 90000});

	test('keepers stand still around the death of their workers', () =>
	    beside({
		'at the beginning': (held) => late(held, [300, 700, 1200, 1900], 0),
		'in the middle': (held) => late(held, [300, 700, 1200, 1900], 0.5),
		'near the end': (held) => late(held, [300, 700, 1200, 1900], 0.9),
		'for ever': forgotten,
		'one that has retired': retired
	}), {limit: 60000});
});
