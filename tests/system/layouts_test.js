/*
 * An upgrade over layouts: the memory is copied by name for a program that lays
 * it out in another way, or with other sizes, while all workers have stopped.
 * No client notices; what fails before the new program runs is undone. OTHER
 * names a chatd of another layout (make build/other-layout/chatd).
 */
'use strict';

const {Group, cage} = require('./cage.js');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const {group} = require('./suite.js');
const {CHATD, Daemon, ROOT, processChildren, processDescriptors, processLives,
    servants, until} = require('./daemon.js');
const {Client} = require('./client.js');
const {TELL, sdk, sdkLeave, subscribed} = require('./centrifugo.js');
const {Crowd} = require('../fault/crowd.js');
const {backOff} = require('../fault/guests.js');

const OTHER = path.resolve(process.env.OTHER ??
    path.join(ROOT, 'build/other-layout/chatd'));
const SPEAKERS = 8;

/* The program itself: CHATD may be a script that becomes it. */
function program(d) {
	return fs.readlinkSync(`/proc/${d.pid}/exe`);
}

/* chatctl upgrade, which succeeds with a copy: all processes are new. */
async function upgrade(d, file) {
	const before = await d.ask('show', 'workers');
	const copies = (d.stderr.match(/memory copied in/g) ?? []).length;
	const r = await d.ctl('upgrade', file);
	assert.deepEqual([r.status, r.stderr], [0, ''], d.stderr.slice(-3000));
	await until('the copy is told', () =>
	    (d.stderr.match(/memory copied in/g) ?? []).length === copies + 1);
	const after = await d.ask('show', 'workers');
	after.forEach((w, i) => {
		assert.equal(w.generation, before[i].generation + 1);
		assert.equal(w.state, 'running');
	});
	await until('the old ones have left', () => before.every((w) =>
	    [w.pid, ...w.keepers].every((pid) => !processLives(pid))));
	assert.equal(program(d), fs.realpathSync(file));
}

/* The process that copies. */
function copier(d) {
	return processChildren(d.pid).find((p) => {
		try {
			return fs.readFileSync(`/proc/${p}/cmdline`, 'utf8')
			    .includes('convert:');
		} catch {
			return false;
		}
	});
}

/*
 * Upgrades to another layout and acts when all workers but one have retired:
 * that one is stopped. Resolves to what chatctl said.
 */
async function midst(d, act, file = OTHER) {
	const [one] = await d.ask('show', 'workers');
	process.kill(one.pid, 'SIGSTOP');
	const asked = d.ctl('upgrade', file);
	try {
		await until('workers stop', async () =>
		    (await d.ask('show', 'upgrade')).state === 'stopping',
		15000);
		await until('the others have', () => (d.stderr.match(
		    /retired/g) ?? []).length >= 3);
		await act(one);
	} finally {
		if (processLives(one.pid))
			process.kill(one.pid, 'SIGCONT');
	}
	return asked;
}

/* The upgrade was undone: the same program, all workers there again. */
async function undone(d, r, reason, was) {
	assert.equal(r.status, 1, JSON.stringify(r));
	assert.match(r.stderr, reason);
	assert.equal(program(d), was);
	await until('all workers run', async () => (await d.ask('show',
	    'workers')).every((w) => w.state === 'running'));
	await until('each has two keepers', () =>
	    servants(d.pid).length === 12);
	assert.equal(copier(d), undefined);
}

group('another layout', {workers: 4, conf: TELL}, (test) => {
	test('there and back, twice, under load', async (d) => {
		const usual = program(d);
		const crowd = await Crowd.unbroken(d, 60);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, SPEAKERS));
		for (const file of [OTHER, usual, OTHER, usual])
			await upgrade(d, file);
		await crowd.judgeAll();
		await crowd.presence();
		await d.adoptedAll(16);
		assert.equal(d.stderr.match(/memory copied .* \(corrupted 0\)/g)
		    .length, 4);
		await crowd.joinAll(['late1', 'late2']);
		await crowd.leave();
	}, {limit: 90000});
	test('subscriptions, history, half a message, what is unread',
	    async (d) => {
		const usual = program(d);
		const half = await Client.user(d.port, 'half');
		const slow = await Client.user(d.port, 'slow');
		const clients = [], subs = [], lost = [];
		try {
			for (let i = 0; i < 3; i++) {
				const c = sdk(d, `?user=sdk${i}`);
				clients.push(c);
				await c.ready(5000);
				for (const name of ['disconnected', 'connecting'])
					c.on(name, (why) => lost.push(why));
				subs.push(await subscribed(c, 'tell'));
			}
			/* 40 KB of a fragmented message, the rest later. */
			const text = 'x'.repeat(40000);
			half.write(frame(0x01, text));
			await subs[0].publish({n: 0});
			for (const [i, file] of [OTHER, usual].entries()) {
				await upgrade(d, file);
				half.write(frame(0x00, `${i}`));
				await subs[i].publish({n: i + 1});
				const p = await subs[2].presence();
				assert.equal(Object.keys(p.clients).length, 3);
			}
			half.write(frame(0x80, 'y'));
			assert.equal(await half.heard(),
			    `half says: ${text}01y`);
			assert.equal(await slow.heard(),
			    `half says: ${text}01y`);
			await until('all is heard', () => subs.every((s) =>
			    s.heard.length === 3));
			for (const s of subs)
				s.heard.forEach((p, k) => assert.deepEqual(
				    [p.offset, p.data.n], [k + 1, k]));
			assert.deepEqual(lost, []);
			half.drop();
			slow.drop();
		} finally {
			sdkLeave();
		}
	}, {limit: 60000});
	test('the process that copies is killed', async (d) => {
		const crowd = await Crowd.unbroken(d, 30), was = program(d);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, SPEAKERS));
		const r = await midst(d, async () => {
			process.kill(copier(d), 'SIGKILL');
			await until('it is undone', async () =>
			    (await d.ask('show', 'upgrade')).state === 'failed');
		});
		await undone(d, r, /copies the memory died of SIGKILL/, was);
		await crowd.judgeAll();
		await crowd.presence();
		await crowd.leave();
	}, {limit: 60000});
	test('a worker is killed before it has retired', async (d) => {
		const crowd = await Crowd.unbroken(d, 30), was = program(d);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, SPEAKERS));
		const r = await midst(d, (one) => process.kill(one.pid, 'SIGKILL'));
		await undone(d, r, /worker 0 died before it had retired/, was);
		await crowd.judgeAll();
		await crowd.presence();
		await crowd.leave();
	}, {limit: 60000});
	/* Clients that talk, and what is refused or fails in the midst. */
	const fails = (title, reason, act) => test(title, async (d) => {
		const crowd = await Crowd.unbroken(d, 30), was = program(d);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, SPEAKERS));
		const r = await act(d);
		await undone(d, r, reason, was);
		await crowd.judgeAll();
		await crowd.presence();
		await crowd.joinAll([`more${late++}`]);
		await crowd.leave();
	}, {limit: 60000});
	let late = 0;
	fails('the process that copies hangs',
	    /the memory is not copied within 5 s/, (d) =>
		midst(d, () => process.kill(copier(d), 'SIGSTOP')));
	fails('a worker hangs', /worker 0 died before it had retired/,
	    (d) => midst(d, () => until('it is given up', async () =>
		(await d.ask('show', 'upgrade')).state === 'failed')));
	fails('the program is changed meanwhile', /was changed after its rehearsal/,
	    (d) => {
		const file = d.copy('changed', OTHER);
		return midst(d, () => fs.utimesSync(file, 1, 1), file);
	});
	fails('a copy that cannot be executed', /Permission denied/, (d) => {
		const file = d.copy('denied', OTHER);
		return midst(d, () => fs.chmodSync(file, 0o644), file);
	});
	test('a request that is half there keeps nobody waiting', async (d) => {
		const was = program(d), askers = [];
		for (let i = 0; i < 16; i++) /* some at each worker */
			askers.push(await Client.user(d.port, `asker${i}`));
		const pids = (await d.ask('show', 'workers')).map((w) => w.pid);
		const sockets = () => pids.reduce((n, pid) =>
		    n + processDescriptors(pid), 0);
		const before = sockets(), half = net.connect(d.port, '127.0.0.1');
		half.on('error', () => {});
		half.write('GET /ws?user=half HTTP/1.1\r\nHost: a\r\n');
		await until('it is there', () => sockets() > before);
		let longest = 0, over = false;
		const asks = askers.map(async (c) => {
			while (!over) {
				const begin = performance.now();
				c.text('/rooms');
				await c.heard();
				longest = Math.max(longest,
				    performance.now() - begin);
			}
			c.drop();
		});
		await upgrade(d, OTHER);
		over = true;
		await Promise.all(asks);
		half.destroy();
		/* it would be a second and more */
		assert.ok(longest < 950, `${longest} ms without an answer`);
		await upgrade(d, was);
	}, {limit: 60000});
	test('keepers of workers that have retired are killed', async (d) => {
		const crowd = await Crowd.unbroken(d, 30), was = program(d);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, SPEAKERS));
		const workers = await d.ask('show', 'workers');
		const r = await midst(d, () => {
			process.kill(workers[1].keepers[0], 'SIGKILL');
			process.kill(workers[2].keepers[1], 'SIGKILL');
		});
		assert.deepEqual([r.status, r.stderr], [0, '']);
		assert.equal(program(d), OTHER);
		await crowd.judgeAll();
		await crowd.presence();
		assert.equal((await d.ctl('upgrade', was)).status, 0);
		await crowd.judgeAll();
		await crowd.leave();
	}, {limit: 60000});
});

/* A frame with a mask of zeros, up to 64 KiB. */
function frame(head, text) {
	const data = Buffer.from(text);
	const size = Buffer.alloc(data.length < 126 ? 1 : 3);
	if (data.length < 126)
		size[0] = 0x80 | data.length;
	else {
		size[0] = 0x80 | 126;
		size.writeUInt16BE(data.length, 1);
	}
	return Buffer.concat([Buffer.from([head]), size, Buffer.alloc(4), data]);
}

group('other sizes', {workers: 2, conf: 'users 5000\nchannels 2000\n'},
    (test) => {
	test('larger and smaller ones count from the upgrade on', async (d) => {
		const crowd = await Crowd.unbroken(d, 40);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, 4));
		for (const [users, channels] of [[9000, 500], [300, 3000]]) {
			fs.writeFileSync(d.conf, `users ${users}\nchannels ` +
			    `${channels}\nconnections 4096\njournal 4M\n`);
			await upgrade(d, program(d));
			const stats = await d.ask('show', 'stats');
			assert.equal(stats.users_limit, users);
			assert.equal(stats.channels_limit, channels);
		}
		await crowd.judgeAll();
		await crowd.presence();
		await crowd.leave();
	}, {limit: 60000});
	test('what is used does not fit: refused with figures', async (d) => {
		const crowd = await Crowd.unbroken(d, 300);
		crowd.cut();
		const before = await d.ask('show', 'workers');
		fs.writeFileSync(d.conf, 'users 256\n');
		const r = await d.ctl('upgrade', program(d));
		assert.equal(r.status, 1);
		assert.match(r.stderr, /users: 3\d\d are used, 256 would fit/);
		const after = await d.ask('show', 'workers');
		assert.deepEqual(after.map((w) => w.pid),
		    before.map((w) => w.pid));
		await crowd.judgeAll();
		await crowd.leave();
		fs.writeFileSync(d.conf, '');
	}, {limit: 60000});
});

group('the daemon ends', null, (test) => {
	test('told to stop in the midst: clients are told', async () => {
		const d = await Daemon.start({workers: 4, conf: TELL});
		const clients = await Promise.all(Array.from({length: 20},
		    (_, i) => Client.user(d.port, `u${i}`)));
		const [one] = await d.ask('show', 'workers');
		process.kill(one.pid, 'SIGSTOP');
		const asked = d.ctl('upgrade', OTHER);
		await until('the others have', () => (d.stderr.match(
		    /retired/g) ?? []).length >= 3);
		process.kill(d.pid, 'SIGTERM');
		process.kill(one.pid, 'SIGCONT');
		await asked;
		for (const c of clients)
			assert.equal((await c.closing(10000)).code, 1001);
		await until('it has ended', () => !processLives(d.pid));
		await d.kill();
	}, {limit: 60000});
	test('its death in the midst: the process that copies goes with it',
	    async () => {
		const d = await Daemon.start({workers: 4});
		const [one] = await d.ask('show', 'workers');
		process.kill(one.pid, 'SIGSTOP');
		const asked = d.ctl('upgrade', OTHER);
		await until('the others have', () => (d.stderr.match(
		    /retired/g) ?? []).length >= 3);
		const copies = copier(d);
		/* not by itself: it is stopped */
		process.kill(copies, 'SIGSTOP');
		process.kill(d.pid, 'SIGKILL');
		try {
			await until('it is dead', () => !processLives(copies));
		} finally {
			if (processLives(copies))
				process.kill(copies, 'SIGKILL');
			await asked;
			await d.kill();
		}
	}, {limit: 60000});
	test('a worker in back-off is started for it', async () => {
		const d = await Daemon.start({workers: 1});
		const c = await Client.user(d.port, 'alice');
		await backOff(d, [0]);
		const r = await d.ctl('upgrade', OTHER);
		assert.deepEqual([r.status, r.stderr], [0, '']);
		c.text('hello');
		assert.equal(await c.heard(), 'alice says: hello');
		c.drop();
		await d.stop();
	}, {limit: 60000});
});

group('more workers', null, (test) => {
	test('a reload in the midst: they begin over the copy', async () => {
		const d = await Daemon.start({workers: false,
		    conf: 'workers 4\n'});
		const crowd = await Crowd.unbroken(d, 30);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, SPEAKERS));
		const r = await midst(d, async () => {
			fs.writeFileSync(d.conf, 'workers 6\n');
			assert.equal((await d.ctl('reload')).status, 0);
			const all = await d.ask('show', 'workers');
			assert.deepEqual(all.slice(4).map((w) => w.pid),
			    [0, 0]);
		});
		assert.deepEqual([r.status, r.stderr], [0, '']);
		assert.equal(program(d), OTHER);
		await until('all six run', async () => {
			const all = await d.ask('show', 'workers');
			return all.length === 6 &&
			    all.every((w) => w.state === 'running');
		});
		await crowd.judgeAll();
		await crowd.presence();
		await crowd.leave();
		await d.stop();
	}, {limit: 60000});
});

group('memory for the copy', null, (test) => {
	test('is refused beforehand where it does not fit', async () => {
		const g = Group.make({memory: {max: 72 << 20}});
		if (g === null) {
			console.log(`skip ${Group.why}`);
			return;
		}
		const d = await Daemon.start({workers: 2,
		    conf: 'connections 1000\njournal 32M\ninput-memory 4M\n' +
		    'output-memory 8M\nmessage-size 64K\n',
		    env: cage({groups: [g]})});
		try {
			/* The journal takes half of what the limit allows. */
			const c = await Client.user(d.port, 'alice');
			for (let i = 0; i < 800; i++) {
				c.text('x'.repeat(60000));
				await c.heard();
			}
			const r = await d.ctl('upgrade', OTHER);
			assert.equal(r.status, 1, JSON.stringify(r));
			assert.match(r.stderr, /copy of the shared memory takes \d+ MiB, and \d+ MiB are left/);
			c.text('hello');
			assert.equal(await c.heard(), 'alice says: hello');
			c.drop();
		} finally {
			await d.stop();
			g.remove();
		}
	}, {limit: 60000});
});
