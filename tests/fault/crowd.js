/*
 * crowd: many clients (npm ws) that talk at full rate while workers die, and
 * the judgement of what they heard. All of them speak at the plain door; each
 * connection has a device label of its own, by which `chatctl show
 * connections` tells its worker.
 *
 *	const crowd = new Crowd(d);
 *	await crowd.join('alice', 3);          // three devices
 *	crowd.talk(['alice', ...]);            // until hush()
 *	...
 *	await crowd.barrier();                 // everybody heard everything
 *	crowd.judge(isLiving);                 // order, losses, doubles
 *
 * Spoken lines are `NUMBER` for the lobby and `w NUMBER` whispered; a speaker
 * has at most WINDOW lines on their way.
 */
'use strict';

const assert = require('node:assert/strict');
const WebSocket = require('ws');
const {Client, request} = require('../system/client.js');
const {patience, pause, until} = require('../system/daemon.js');

const WINDOW = 4;         /* lines of a speaker that it has not heard yet */
const WHISPER_EVERY = 5;  /* lines to the lobby */
const WAIT_MS = 10000;

/* One connection of a user. */
class Person {
	constructor(crowd, user) {
		this.crowd = crowd;
		this.user = user;
		this.device = `d${crowd.devices++}`;
		this.heard = [];     /* lines of the lobby since the last cut */
		this.whispers = [];
		this.answers = [];   /* of the server, to this one alone */
		this.arrivals = null; /* times, when asked for */
		this.last = -1;      /* when the last line came */
		this.told = 0;       /* lines said in this round */
		this.echoed = 0;
		this.whispered = new Map(); /* to which user: how many */
		this.talking = false;
		this.own = `${user} says: ${this.device} `;
		this.pad = '';       /* behind each line */
		this.closed = null;  /* {code, reason} */
	}

	/* Of its WebSocket. */
	options() {
		return {perMessageDeflate: false, skipUTF8Validation: true,
		    handshakeTimeout: WAIT_MS};
	}

	/* Connects; resolves to whether it got through. */
	open() {
		const url = `ws://127.0.0.1:${this.crowd.d.port}/ws?user=` +
		    `${this.user}&device=${this.device}`;
		return this.hold(new WebSocket(url, this.options()));
	}

	/* Listens to its WebSocket; resolves as open(). */
	hold(ws) {
		this.ws = ws;
		this.begin = performance.now();
		return new Promise((resolve) => {
			ws.on('open', () => {
				this.opened = performance.now();
				resolve(true);
			});
			ws.on('message', (data) => this.hear(data.toString()));
			ws.on('error', (error) => this.error = error.message);
			ws.on('close', (code, reason) => {
				this.closed = {code, reason: reason.toString(),
				    at: performance.now()};
				this.crowd.people.delete(this);
				this.crowd.lost?.(this);
				resolve(false);
			});
		});
	}

	/* A line came. */
	hear(line) {
		this.last = performance.now();
		this.arrivals?.push(performance.now());
		if (line.includes(' whispers: ')) {
			this.whispers.push(line);
			return;
		}
		if (line.startsWith('* ')) {
			this.answers.push(line);
			return;
		}
		this.heard.push(line);
		if (line.startsWith(this.own)) {
			this.echoed++;
			if (this.talking)
				this.talk();
		}
	}

	say(text) {
		if (!this.closed && this.ws.readyState === WebSocket.OPEN)
			this.ws.send(text);
	}

	/* Says as much as the window lets it. */
	talk() {
		this.talking = true;
		while (this.told - this.echoed < WINDOW) {
			if (this.told % WHISPER_EVERY === 0)
				this.whisper();
			this.say(`${this.device} ${++this.told}${this.pad}`);
		}
	}

	/* To one of the other speakers, in turn. */
	whisper() {
		const {speakers} = this.crowd;
		const to = speakers[Math.floor(Math.random() * speakers.length)];
		const n = (this.whispered.get(to.user) ?? 0) + 1;
		this.whispered.set(to.user, n);
		this.say(`/msg ${to.user} ${this.device} ${n}`);
	}
}

class Crowd {
	constructor(d) {
		this.d = d;
		this.people = new Set(); /* who is connected */
		this.devices = 0;
		this.speakers = [];
		this.barriers = 0;
		this.lost = null;        /* called with each that is closed */
		this.judged = 0;         /* lines, over all rounds */
	}

	/* Users u0, u1, ... of whom none may be disconnected: judgeAll(). */
	static async unbroken(d, n) {
		const crowd = new Crowd(d);
		crowd.lost = (p) => crowd.broken = p;
		await crowd.joinAll(Array.from({length: n}, (_, i) => `u${i}`));
		return crowd;
	}

	/* Everybody is still there, and heard everything once and in order. */
	async judgeAll() {
		await this.hush();
		await this.barrier();
		assert.equal(this.broken, undefined, 'somebody was disconnected: ' +
		    JSON.stringify(this.broken?.closed));
		this.judge();
	}

	/* One more connection of a user. */
	async join(user) {
		const person = new Person(this, user);
		this.people.add(person);
		if (!await person.open())
			throw new Error(`${user} cannot connect: ${person.error}`);
		return person;
	}

	/* Connects them all, some at a time. */
	async joinAll(users) {
		const all = [];
		for (let at = 0; at < users.length; at += 50)
			all.push(...await Promise.all(users.slice(at, at + 50)
			    .map((user) => this.join(user))));
		return all;
	}

	/* Each connection's worker, by its device: from shared memory. */
	async workers() {
		return new Map((await this.d.json('show', 'connections'))
		    .map((c) => [c.device, c.worker]));
	}

	/* Notes in each person where it is; who is nowhere gets -1. */
	async locate() {
		const map = await this.workers();
		for (const p of this.people)
			p.worker = map.get(p.device) ?? -1;
	}

	/* A new round: nothing heard, nothing said. */
	cut() {
		for (const p of this.people) {
			p.heard = [];
			p.whispers = [];
			p.answers = [];
			p.whispered.clear();
			p.told = p.echoed = 0;
			p.old = true;
		}
	}

	/* Begins to talk. */
	talk(speakers) {
		this.speakers = speakers;
		for (const p of speakers)
			p.talk();
	}

	/* Ends the talk: every living speaker has heard its last line. */
	async hush() {
		for (const p of this.speakers)
			p.talking = false;
		await until('all lines echoed', () => this.speakers.every((p) =>
		    p.closed || p.echoed === p.told), WAIT_MS)
		    .catch((error) => {
			throw new Error(error.message + ': ' + this.speakers
			    .filter((p) => !p.closed && p.echoed !== p.told)
			    .map((p) => `${p.user} at worker ${p.worker} heard ` +
			    `${p.echoed} of ${p.told}`).join(', '));
		});
	}

	/* Everybody has heard everything that was said before. */
	async barrier() {
		const [one] = this.people;
		const mark = `${one.user} says: barrier ${this.barriers}`;
		one.say(`barrier ${this.barriers++}`);
		await until('barrier', () => [...this.people].every((p) =>
		    p.heard.at(-1) === mark), WAIT_MS).catch((error) => {
			const deaf = [...this.people].filter((p) =>
			    p.heard.at(-1) !== mark);
			throw new Error(`${error.message}: not heard by ` + deaf
			    .map((p) => `${p.user} at worker ${p.worker}, whose ` +
			    `last line is ${p.heard.at(-1)}`).join(', '));
		});
	}

	/*
	 * After a barrier: all who were there for the whole round heard the
	 * very same lines in the same order; who came later, their end; each
	 * speaker's lines are in its order without a gap, and those of the
	 * living are complete. Whispers among the living likewise.
	 */
	judge() {
		const whole = [...this.people].filter((p) => p.old);
		const all = whole[0].heard;
		for (const p of this.people) {
			const from = p.old ? 0 : all.length - p.heard.length;
			assert.ok(from >= 0, `${p.user}, who came later, heard ` +
			    `${p.heard.length} lines of ${all.length}`);
			if (p.old)
				assert.equal(p.heard.length, all.length,
				    `lines heard by ${p.user} at worker ` +
				    `${p.worker} and by ${whole[0].user} at ` +
				    `worker ${whole[0].worker}: ` +
				    difference(p.heard, all));
			for (let i = 0; i < p.heard.length; i++)
				if (p.heard[i] !== all[from + i])
					assert.fail(`line ${i} of ${p.user} at ` +
					    `worker ${p.worker} is ${p.heard[i]}, ` +
					    `${whole[0].user} at worker ` +
					    `${whole[0].worker} heard ` +
					    all[from + i]);
		}
		for (const p of this.speakers) {
			const mine = all.filter((line) => line.startsWith(p.own));
			mine.forEach((line, i) => assert.equal(line,
			    p.own + (i + 1) + p.pad, `line ${i} of ${p.user}`));
			assert.ok(mine.length <= p.told);
			if (!p.closed)
				assert.equal(mine.length, p.told,
				    `lines of ${p.user}, who lives`);
		}
		for (const from of this.speakers) {
			for (const to of this.speakers)
				this.judgeWhispers(from, to);
			/* Only who died can have been missed. */
			for (const answer of from.answers)
				assert.ok(this.speakers.some((p) => p.closed &&
				    answer === `* ${p.user} is not connected`),
				    `${from.user} was told ${answer}`);
		}
		this.judged += all.length;
	}

	/* What one speaker whispered to another. */
	judgeWhispers(from, to) {
		const head = `${from.user} whispers: ${from.device} `;
		const lines = to.whispers.filter((w) => w.startsWith(head));
		lines.forEach((line, i) => assert.equal(line, head + (i + 1),
		    `whisper ${i} from ${from.user} to ${to.user}`));
		if (!from.closed && !to.closed)
			assert.equal(lines.length, from.whispered.get(to.user) ?? 0,
			    `whispers from ${from.user} to ${to.user}`);
	}

	/*
	 * Whether `show users` says the truth; throws if it does not within
	 * ms: who is here, with how many connections, on which workers.
	 */
	async presence(ms = 1000) {
		let error;
		await until('true presence', async () => {
			try {
				await this.presenceNow();
				return true;
			} catch (e) {
				error = e;
				return false;
			}
		}, ms).catch(() => {
			throw error;
		});
	}

	async presenceNow() {
		await this.locate();
		const want = {};
		for (const p of this.people) {
			assert.notEqual(p.worker, -1,
			    `${p.user} is in no worker's list`);
			want[p.user] ??= {workers: new Set(), connections: 0};
			want[p.user].workers.add(p.worker);
			want[p.user].connections++;
		}
		const got = await this.d.json('show', 'users');
		assert.deepEqual(got.map((u) => u.user).sort(),
		    Object.keys(want).sort());
		for (const u of got) {
			assert.deepEqual(u.workers.sort(),
			    [...want[u.user].workers].sort(), u.user);
			assert.equal(u.connections, want[u.user].connections,
			    u.user);
		}
	}

	/* All leave. */
	async leave() {
		this.lost = null;
		for (const p of this.people)
			p.ws.terminate();
		await until('all gone', () => this.people.size === 0);
	}
}

/* What one list has more or less than another. */
function difference(a, b) {
	const inA = new Set(a), inB = new Set(b);
	return `only the first: ${a.filter((x) => !inB.has(x)).slice(0, 5)}; ` +
	    `only the second: ${b.filter((x) => !inA.has(x)).slice(0, 5)}; ` +
	    `doubles: ${a.length - inA.size}, ${b.length - inB.size}`;
}

/* Asks for a WebSocket; resolves to the status, 0 if there is no answer. */
async function attempt(d, user, ms) {
	const c = await Client.connect(d.port);
	c.write(request(`/ws?user=${user}`));
	try {
		const answer = await c.head(ms);
		if (answer.status === 503)
			assert.match(answer.fields['retry-after'] ?? '', /^\d+$/);
		if (answer.status !== 101)
			c.drop();
		return {status: answer.status, client: c};
	} catch (error) {
		return {status: 0, error, client: c};
	}
}

/* Lets everybody talk a little, and judges it. */
async function talks(crowd, lines = 20) {
	crowd.cut();
	crowd.talk([...crowd.people].slice(0, 4));
	await until('lines', () => crowd.speakers.every((p) =>
	    p.echoed >= lines));
	await crowd.hush();
	await crowd.barrier();
	crowd.judge();
}

/* The longest time between two lines that anybody of them heard. */
function longestGap(people) {
	let longest = 0;
	for (const p of people)
		for (let i = 1; i < p.arrivals.length; i++)
			longest = Math.max(longest,
			    p.arrivals[i] - p.arrivals[i - 1]);
	return longest;
}

/* The state of one worker as chatctl tells it. */
async function workerState(d, slot) {
	return (await d.json('show', 'workers')).find((w) => w.slot === slot);
}

/* Whether a worker is the next one after another: by one generation, by more
 * only after a back-off, in which a mover had its place. */
function follows(d, now, before) {
	const n = now.generation - before.generation;
	return n === 1 || n > 1 && new RegExp(`worker ${before.slot} ` +
	    `\\(pid ${before.pid}\\) .*; next start in `).test(d.stderr);
}

/* Waits until each of those slots has its next worker, and it runs. Returns
 * when that was seen. */
async function successors(d, slots, before) {
	await until(`the next workers ${slots} run`, async () => {
		const now = await d.json('show', 'workers');
		return slots.every((slot) => now[slot].state === 'running' &&
		    follows(d, now[slot], before[slot]));
	});
	return performance.now();
}

module.exports = {Crowd, Person, attempt, longestGap, patience, pause, successors, talks,
    until, workerState};
