/*
 * Connections that go on at another worker: of a worker that is dead and has no
 * replacement yet, of one that leaves, and of one that gives some away. Each
 * goes whole or stays where it is, and nobody is disconnected or left without
 * service for want of room, of memory or of a worker that has time.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const {group} = require('../system/suite.js');
const {Line} = require('../system/centrifugo.js');
const {Daemon, processChildren, processTitle, until} =
    require('../system/daemon.js');
const {attempt} = require('./crowd.js');
const {Guests, backOff, hold, limit, replaced, row, sideBySide, signal,
    whole} =
    require('./guests.js');

const ROOMS = 60;     /* of a connection; a block has 64 subscriptions */
const FEW = {subscriptions: 128,
	conf: 'subscriptions 128\nchannel "room*" {\n\tsubscribe all\n' +
	    '\tpublish all\n}\n'};
const FILES = 200;    /* descriptors of each process, where they are few */
const NOBODY = {uid: 65534, gid: 65534};

/* A daemon each process of which may open few files. */
async function few(options) {
	const d = await Daemon.start(options);
	await whole(d);
	for (const pid of [d.pid, ...processChildren(d.pid)])
		limit(pid, 'nofile', FILES);
	return d;
}

/* Subscribes a connection to that many rooms. */
async function subscribe(line) {
	for (let k = 0; k < ROOMS; k++)
		assert.ok((await line.ask('subscribe', {channel: `room${k}`}))
		    .subscribe);
	return line;
}

/* A connection at each of two workers. */
async function spread(d) {
	const lines = [await Line.connected(d)];
	for (;;) {
		const line = await Line.connected(d);
		if ((await d.balance()).every((n) => n === 1))
			return [...lines, line];
		line.client.drop();
		await until('it has left', async () =>
		    (await d.ask('show', 'connections')).length === 1);
	}
}

/* Says something in each room; each of the lines hears all of it, once. */
async function roomsHeard(lines, word) {
	for (let k = 0; k < ROOMS; k++)
		assert.ok((await lines[0].ask('publish',
		    {channel: `room${k}`, data: `${word} ${k}`})).publish);
	for (const line of lines) {
		const seen = [];
		while (seen.length < ROOMS) {
			const p = await line.push();
			assert.ok(p.pub, JSON.stringify(p));
			seen.push(p.pub.data);
		}
		assert.deepEqual(seen, Array.from({length: ROOMS},
		    (_, k) => `${word} ${k}`));
	}
}

/* Waits until all is as it must be; guests or not. */
function kept(d) {
	return new Guests(d).kept();
}

group('adoption', null, (test) => {
	sideBySide(test, {
		'one that is given away and finds no room stays, in custody': async () => {
			const d = await Daemon.start({workers: false,
			    conf: 'workers 1\n' + FEW.conf});
			const lines = [await subscribe(await Line.connected(d)),
			    await subscribe(await Line.connected(d))];
			await kept(d);
			fs.writeFileSync(d.conf, 'workers 2\n' + FEW.conf);
			assert.equal((await d.ctl('reload')).status, 0);
			await until('two workers', async () =>
			    (await d.ask('show', 'workers')).length === 2);
			await whole(d);
			for (let i = 0; i < 3; i++) {
				assert.equal((await d.ctl('rebalance')).status, 0);
				await roomsHeard(lines, `round ${i}`);
			}
			await kept(d);
			assert.deepEqual(await d.balance(), [2, 0]);
			const w = await row(d, 0);
			process.kill(w.pid, 'SIGKILL');
			await replaced(d, 0, w.generation);
			await roomsHeard(lines, 'after');
			await d.stop();
		},

		'a worker stays when its connections find no room': async () => {
			const d = await Daemon.start({workers: false,
			    conf: 'workers 2\n' + FEW.conf});
			const lines = await spread(d);
			for (const line of lines)
				await subscribe(line);
			await kept(d);
			fs.writeFileSync(d.conf, 'workers 1\n' + FEW.conf);
			assert.equal((await d.ctl('reload')).status, 0);
			await d.logged(/2 workers stay: the others have no room/, 20000);
			await whole(d);
			await roomsHeard(lines, 'then');
			await kept(d);
			await d.stop();
		},

		'two of three workers in back-off at once': async () => {
			const d = await Daemon.start({workers: 3});
			const guests = await Guests.come(d, LONG ? 2400 : 900);
			await guests.kept();
			const [healthy] = await d.ask('show', 'workers');
			await backOff(d, [1, 2], 4);
			await until('all have been taken up', async () =>
			    (await d.balance())[0] === guests.all.length, 3000);
			assert.ok((await d.ask('show', 'workers')).some((w) => w.pid === 0),
			    'the back-off is over already');
			await guests.served(5000);
			assert.equal((await row(d, 0)).pid, healthy.pid,
			    'a healthy worker was killed');
			assert.doesNotMatch(d.stderr, /refused|does not (clean|go on)/);
			await whole(d);
			await guests.served();
			await guests.kept();
			guests.leave();
			await d.stop();
		},

		'no process can be made: three of four workers are gone': async () => {
			const d = await Daemon.start({workers: 4,
			    ...process.geteuid() === 0 ? {user: NOBODY} : {}});
			const guests = await Guests.come(d, 400);
			await guests.kept();
			const all = await d.ask('show', 'workers');
			const rest = await guests.at(0);
			const lifts = [d.pid, ...all.flatMap((w) => w.keepers)]
			    .map((pid) => limit(pid, 'nproc', 1));
			for (const w of all.slice(1))
				signal(w.pid, 'SIGKILL');
			await until('it is tried again', () =>
			    d.stderr.match(/cannot start worker 1/g)?.length > 3, 20000);
			await guests.served(20000, rest);
			guests.whole();
			assert.equal((await row(d, 0)).pid, all[0].pid);
			for (const lift of lifts)
				try {
					lift();
				} catch {
					/* gone with a worker that has followed */
				}
			await whole(d);
			await guests.served();
			await guests.kept();
			guests.leave();
			await d.stop();
		},
	}, {limit: 90000});
});

group('few descriptors', null, (test) => {
	sideBySide(test, {
		'fewer workers are refused': async () => {
			const d = await few({workers: false,
			    conf: 'workers 2\n'});
			const guests = await Guests.come(d, 300);
			fs.writeFileSync(d.conf, 'workers 1\n');
			const r = await d.ctl('reload');
			assert.equal(r.status, 1);
			assert.match(r.stdout + r.stderr,
			    /workers 1: .*room for \d+ more connections, and \d+ are on/);
			await guests.served();
			assert.equal((await d.ask('show', 'workers')).length, 2);
			/* With half of them gone it is carried out. */
			for (const c of guests.all.splice(0, 240))
				c.drop();
			await until('they have gone', async () => {
				const n = await d.balance();
				return n[0] + n[1] === guests.all.length;
			});
			await until('it is taken', async () =>
			    (await d.ctl('reload')).status === 0);
			await until('one worker', async () =>
			    (await d.ask('show', 'workers')).length === 1, 20000);
			await guests.served();
			guests.leave();
			await d.stop();
		},

		'what does not fit waits for its worker': async () => {
			const d = await few({workers: 2});
			const guests = await Guests.come(d, 300);
			await guests.kept();
			await backOff(d, [1]);
			const at = await until('as many as fit', async () => {
				const n = await d.balance();
				return n[0] > 140 && n;
			});
			/* Those are served at once. */
			await guests.served(20000, await guests.at(0));
			await whole(d);
			await guests.served();
			assert.ok(at[0] < 300, `${at[0]} at one worker`);
			await guests.kept();
			guests.leave();
			await d.stop();
		},

		'a mover is killed again and again': async () => {
			const d = await few({workers: 2});
			const guests = await Guests.come(d, 300);
			await guests.kept();
			await backOff(d, [1]);
			for (let n = 0; n < 3; n++)
				signal(await mover(d, 1), 'SIGKILL');
			await whole(d);
			await guests.served();
			await guests.kept();
			guests.leave();
			await d.stop();
		},

		'a mover is stopped, one hangs': async () => {
			const d = await few({workers: 3});
			const guests = await Guests.come(d, 500);
			await guests.kept();
			await backOff(d, [1, 2]);
			signal(await mover(d, 1), 'SIGSTOP');
			const release = await hold(await mover(d, 2));
			await whole(d);
			await guests.served();
			release();
			await guests.kept();
			guests.leave();
			await d.stop();
		},

		'a full worker is killed, and replaced as planned': async () => {
			const d = await few({workers: 2});
			const guests = await fill(d);
			await guests.kept();
			const w = await row(d, 0);
			process.kill(w.pid, 'SIGKILL');
			await replaced(d, 0, w.generation);
			await guests.served();
			await guests.kept();
			const r = await d.ctl('restart-worker', '1');
			assert.equal(r.status, 0, r.stderr);
			await guests.served();
			guests.leave();
			await d.stop();
		},

		'the keeper of a full worker is killed': async () => {
			const d = await few({workers: 1});
			const guests = await fill(d);
			await guests.kept();
			process.kill((await row(d, 0)).keeper, 'SIGKILL');
			await until('another keeper', async () =>
			    ![0, undefined].includes((await row(d, 0)).keeper));
			await guests.kept();
			const w = await row(d, 0);
			process.kill(w.pid, 'SIGKILL');
			await replaced(d, 0, w.generation);
			await guests.served();
			guests.leave();
			await d.stop();
		},
	}, {limit: 60000});
});

/* The process that gives a place's sockets. */
function mover(d, slot) {
	return until(`mover ${slot}`, () => processChildren(d.pid).find((pid) => {
		try {
			return processTitle(pid) === `chatd: mover ${slot}`;
		} catch {
			return false;
		}
	}));
}

/* Guests until no more are taken. */
async function fill(d) {
	const guests = new Guests(d);
	for (let n = 0, refused = 0; refused < 5; n++) {
		const r = await attempt(d, `f${n}`, 10000);
		if (r.status !== 101) {
			refused++;
			continue;
		}
		r.client.name = `f${n}`;
		guests.all.push(r.client);
	}
	return guests;
}
