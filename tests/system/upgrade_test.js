/*
 * The live upgrade: the master executes another program in its own place, and
 * no client notices. What cannot go on is refused, and nothing has happened.
 * Layouts that differ: layouts_test.js.
 */
'use strict';

const assert = require('node:assert/strict');
const {once} = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const {group} = require('./suite.js');
const {CHATCTL, CHATD, processDescriptors, processLives,
    processTitle, run, servants, until} = require('./daemon.js');
const {Client} = require('./client.js');
const {sdk, sdkLeave, subscribed} = require('./centrifugo.js');
const {Crowd} = require('../fault/crowd.js');

const CLIENTS = 100;
const SPEAKERS = 12;
const EACH = 3; /* a worker and its keepers */

/* chatctl upgrade, which succeeds: every process but the master is new. */
async function upgrade(d, ...args) {
	const before = await d.ask('show', 'workers');
	const r = await d.ctl('upgrade', ...args);
	assert.deepEqual([r.status, r.stderr], [0, ''], d.stderr.slice(-2000));
	assert.match(r.stdout, /^upgraded to chatd \d/);
	const after = await d.ask('show', 'workers');
	after.forEach((w, i) => {
		assert.equal(w.generation, before[i].generation + 1);
		assert.equal(w.state, 'running');
		assert.notEqual(w.keeper, before[i].keeper);
		assert.ok(processLives(w.keeper));
	});
	await until('the old ones have left', () => before.every((w) =>
	    ![w.pid, ...w.keepers].some(processLives)));
	assert.equal(servants(d.pid).length, EACH * after.length);
}

/* What program the master runs. */
function program(d) {
	return fs.readlinkSync(`/proc/${d.pid}/exe`);
}

/* The upgrade is refused for that reason; nothing has happened. */
async function refused(d, reason, ...args) {
	const before = await d.ask('show', 'workers');
	const exe = program(d);
	/* Sanitizers give a rehearsal 20 s. */
	const r = await run(CHATCTL, ['-s', d.socket, 'upgrade', ...args],
	    {limit: 30000});
	assert.equal(r.status, 1, JSON.stringify(r));
	assert.match(r.stderr, reason);
	const shown = await d.ask('show', 'upgrade');
	if (shown.state === 'failed')
		assert.match(shown.reason, reason);
	if (args[0])
		assert.ok(r.stderr.includes(args[0]), `no file in ${r.stderr}`);
	await d.logged(/not upgraded/);
	assert.equal(program(d), exe);
	const after = await d.ask('show', 'workers');
	assert.deepEqual(after.map((w) => [w.pid, w.keeper]),
	    before.map((w) => [w.pid, w.keeper]));
	assert.equal(servants(d.pid).length, EACH * after.length);
}

/* The close-on-exec flag of each of the master's descriptors. */
function flags(d) {
	const all = {};
	for (const fd of fs.readdirSync(`/proc/${d.pid}/fdinfo`)) {
		const text = fs.readFileSync(`/proc/${d.pid}/fdinfo/${fd}`, 'utf8');
		all[fd] = parseInt(/flags:\s*(\d+)/.exec(text)[1], 8) &
		    0o2000000;
	}
	return all;
}

/*
 * Upgrades to that file and acts between its good rehearsal and its execution,
 * which waits for a control client that has not said what it wants. Resolves
 * to what chatctl said.
 */
async function between(d, file, act) {
	const client = net.connect(d.socket);
	await once(client, 'connect');
	const asked = d.ctl('upgrade', file);
	try {
		await until('it is rehearsed', async () =>
		    (await d.ask('show', 'upgrade')).state === 'executing');
		await act();
	} finally {
		client.destroy();
	}
	return asked;
}

/* A small program for the refusals. */
async function compile(d, name, body) {
	const source = path.join(d.dir, `${name}.c`);
	const file = path.join(d.dir, name);
	fs.writeFileSync(source, '#include <stdlib.h>\n#include <unistd.h>\n' +
	    `int main(void) { ${body} }\n`);
	const r = await run('cc', ['-o', file, source]);
	assert.equal(r.status, 0, r.stderr);
	return file;
}

group('upgrade', {workers: 4, conf: 'workers 4\n'}, (test) => {
	test('three times, under load, nobody notices', async (d) => {
		const crowd = await Crowd.unbroken(d, CLIENTS);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, SPEAKERS));
		for (let i = 0; i < 3; i++) {
			const file = d.copy(`chatd.${i}`);
			await upgrade(d, file);
			assert.equal(program(d), file);
		}
		assert.ok(!d.end);
		assert.equal(processTitle(d.pid), 'chatd: master');
		assert.equal(fs.readFileSync(`/proc/${d.pid}/comm`, 'utf8'),
		    'chatd\n');
		await crowd.judgeAll();
		await crowd.presence();
		await d.adoptedAll(12);
		/* It is whole afterwards: counters, deaths, new clients. */
		const stats = await d.ask('show', 'stats');
		assert.ok(stats.accepted >= CLIENTS && stats.renewals >= 12 &&
		    stats.respawns === 0,
		    JSON.stringify(stats));
		await crowd.joinAll(['late1', 'late2']);
		crowd.cut();
		crowd.talk([...crowd.people].slice(-SPEAKERS));
		process.kill((await d.ask('show', 'workers'))[1].pid, 'SIGKILL');
		await until('the next worker', async () => (await d.ask('show',
		    'workers'))[1].state === 'running');
		await crowd.judgeAll();
		await crowd.leave();
	}, {limit: 120000});
	test('a worker dies with one of its keepers before its turn', async (d) => {
		const crowd = await Crowd.unbroken(d, 40);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, SPEAKERS));
		const asked = d.ctl('upgrade');
		await until('the turn of others', async () => {
			const u = await d.ask('show', 'upgrade').catch(() => null);
			return u?.state === 'renewing';
		}, 20000);
		const last = (await d.ask('show', 'workers')).at(-1);
		for (const pid of [last.keepers[1], last.pid])
			if (processLives(pid))
				process.kill(pid, 'SIGKILL');
		assert.equal((await asked).status, 0);
		await crowd.judgeAll();
		await crowd.presence();
		await crowd.leave();
	});
	test("Centrifugo's SDK publishes through it", async (d) => {
		const clients = [], subs = [], lost = [];
		try {
			for (let i = 0; i < 8; i++) {
				const c = sdk(d, `?user=sdk${i}`);
				clients.push(c);
				await c.ready(5000);
				subs.push(await subscribed(c, 'room'));
				for (const name of ['disconnected', 'connecting'])
					c.on(name, (why) => lost.push(why));
			}
			let said = 0, on = true;
			const talk = subs.map(async (sub, i) => {
				for (let n = 1; on; n++, said++)
					await sub.publish({i, n});
			});
			await upgrade(d);
			const [one] = await d.ask('show', 'workers');
			process.kill(one.pid, 'SIGKILL');
			const half = said;
			await until('more is said', () => said > half + 50);
			on = false;
			await Promise.all(talk);
			await until('all is heard', () => subs.every((s) =>
			    s.heard.length === said));
			assert.deepEqual(lost, []);
			for (const s of subs) {
				s.heard.forEach((p, k) =>
				    assert.equal(p.offset, k + 1));
				for (let i = 0; i < subs.length; i++)
					s.heard.filter((p) => p.data.i === i)
					    .forEach((p, k) =>
						assert.equal(p.data.n, k + 1));
			}
		} finally {
			sdkLeave();
		}
	});
	test('USR2 executes the file that was named last', async (d) => {
		const file = d.copy('own');
		await upgrade(d, file);
		assert.equal(program(d), file);
		fs.unlinkSync(file);
		fs.copyFileSync(CHATD, file);
		fs.chmodSync(file, 0o755);
		const c = await Client.user(d.port, 'alice');
		process.kill(d.pid, 'SIGUSR2');
		/* Until then " (deleted)" is behind its name. */
		await until('executed', () => program(d) === file);
		await until('upgraded', async () => (await d.ask('show',
		    'upgrade')).state === 'done', 20000);
		c.text('hello');
		assert.equal(await c.heard(), 'alice says: hello');
	});
	test('the configuration is read anew', async (d) => {
		fs.writeFileSync(d.conf, 'message-size 100\n');
		await upgrade(d);
		const c = await Client.user(d.port, 'alice');
		c.text('x'.repeat(101));
		await c.closed(1009);
		fs.writeFileSync(d.conf, '');
		assert.equal((await d.ctl('reload')).status, 0);
	});
	test('what cannot go on is refused', async (d) => {
		const crowd = await Crowd.unbroken(d, 20);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, 4));
		const text = path.join(d.dir, 'text');
		fs.writeFileSync(text, 'no program\n');
		await refused(d, /[Pp]ermission denied/, text);
		fs.chmodSync(text, 0o755);
		await refused(d, /not a program/, text);
		fs.writeFileSync(text, '#!/bin/sh\nexit 1\n');
		await refused(d, /not a program/, text);
		await refused(d, /not a program/, d.dir);
		await refused(d, /No such file/, path.join(d.dir, 'none'));
		await refused(d, /no chatd: it leaves with status 0/,
		    '/bin/true');
		await refused(d, /status 1/,
		    await compile(d, 'leaves', 'return 1;'));
		await refused(d, /it dies of SIGABRT/,
		    await compile(d, 'dies', 'abort();'));
		await refused(d, /does not answer within \d+ s/,
		    await compile(d, 'hangs', 'for (;;) pause();'));
		await crowd.judgeAll();
		await crowd.leave();
	}, {limit: 60000});
	test('the execution fails after a good rehearsal', async (d) => {
		const crowd = await Crowd.unbroken(d, 20);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, 4));
		const file = d.copy('spoilt'), before = flags(d);
		const exe = program(d);
		for (const [reason, spoil] of [
		    [/Permission denied/, () => fs.chmodSync(file, 0o600)],
		    [/Text file busy/, () => fs.openSync(file, 'r+')],
		    [/changed after its rehearsal/, () => {
			fs.appendFileSync(file, '\n');
		}]]) {
			const was = await d.ask('show', 'workers');
			let fd;
			const r = await between(d, file, () => fd = spoil());
			assert.equal(r.status, 1, JSON.stringify(r));
			assert.match(r.stderr, reason);
			await d.logged(new RegExp('not upgraded to .*spoilt: ' +
			    `.*${reason.source}`));
			if (fd !== undefined)
				fs.closeSync(fd);
			fs.chmodSync(file, 0o755);
			assert.equal(program(d), exe);
			assert.deepEqual(flags(d), before);
			const is = await d.ask('show', 'workers');
			assert.deepEqual(is.map((w) => [w.pid, w.keeper]),
			    was.map((w) => [w.pid, w.keeper]));
		}
		/* Listeners, links, keepers, timers: all goes on. */
		await crowd.joinAll(['late1', 'late2']);
		const [one, two, three] = await d.ask('show', 'workers');
		process.kill(one.pid, 'SIGKILL');
		process.kill(two.keeper, 'SIGKILL');
		assert.equal((await d.ctl('restart-worker', '2')).status, 0);
		await until('they are replaced', async () => {
			const is = await d.ask('show', 'workers');
			return is[0].generation === one.generation + 1 &&
			    is[1].keeper !== two.keeper && is[1].keeper !== 0 &&
			    is[2].generation === three.generation + 1 &&
			    is.every((w) => w.state === 'running');
		});
		assert.equal((await d.ctl('reload')).status, 0);
		await upgrade(d, file);
		await crowd.judgeAll();
		await crowd.leave();
	}, {limit: 60000});
	test('the configuration is being saved meanwhile', async (d) => {
		const crowd = await Crowd.unbroken(d, 20);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, 4));
		/* It goes on with what its rehearsal has read. */
		fs.writeFileSync(d.conf, 'message-size 100\n');
		const r = await between(d, d.copy('patient'), () =>
		    fs.writeFileSync(d.conf, 'nonsense\n'));
		assert.deepEqual([r.status, r.stderr], [0, '']);
		await crowd.judgeAll();
		await crowd.leave();
		const c = await Client.user(d.port, 'alice');
		c.text('x'.repeat(101));
		await c.closed(1009);
		assert.equal((await d.ctl('reload')).status, 1);
		fs.writeFileSync(d.conf, '');
		assert.equal((await d.ctl('reload')).status, 0);
	});
	test('a reload after the rehearsal is not lost', async (d) => {
		fs.writeFileSync(d.conf, '');
		const r = await between(d, d.copy('reloaded'), async () => {
			fs.writeFileSync(d.conf, 'message-size 100\n');
			await d.ctl('reload');
		});
		assert.deepEqual([r.status, r.stderr], [0, '']);
		await until('it is in force', async () => {
			const c = await Client.user(d.port, 'alice');
			c.text('x'.repeat(101));
			const {opcode} = await c.frame();
			c.drop();
			return opcode === 8;
		});
		fs.writeFileSync(d.conf, '');
		assert.equal((await d.ctl('reload')).status, 0);
	});
	test('a configuration with an error is refused', async (d) => {
		fs.writeFileSync(d.conf, 'nonsense\n');
		await refused(d, /chatd\.conf:1: /);
		fs.writeFileSync(d.conf, '');
		await upgrade(d);
	});
	test('one at a time', async (d) => {
		const first = d.ctl('upgrade');
		await until('it has begun', async () => (await d.ask('show',
		    'upgrade')).state !== 'done');
		const r = await d.ctl('upgrade');
		assert.equal(r.status, 1);
		assert.match(r.stderr, /going on/);
		assert.equal((await first).status, 0);
	});
});

group('upgrade of a daemon', null, (test) => {
	test('TERM while it is rehearsing', async () => {
		const {Daemon} = require('./daemon.js');
		const d = await Daemon.start({workers: 2});
		const hangs = await compile(d, 'hangs', 'for (;;) pause();');
		d.ctl('upgrade', hangs).catch(() => {});
		await until('it has begun', async () => (await d.ask('show',
		    'upgrade')).state === 'rehearsing');
		await d.stop();
	});
	for (const signal of ['SIGTERM', 'SIGQUIT'])
		test(`${signal} when it is rehearsed`, async () => {
			const {Daemon} = require('./daemon.js');
			const d = await Daemon.start({workers: 2});
			const c = await Client.user(d.port, 'alice');
			/* chatctl is told, or finds nobody any more. */
			const r = await between(d, program(d), async () => {
				process.kill(d.pid, signal);
				await d.logged(/not upgraded to .*is leaving/);
			});
			assert.notEqual(r.status, 0);
			if (signal === 'SIGQUIT') {
				c.text('hello');
				assert.equal(await c.heard(),
				    'alice says: hello');
				await c.close();
			}
			await d.stop(null);
			assert.doesNotMatch(d.stderr, /goes on with/);
		});
	test('pidfile and its lock are kept', async () => {
		const {Daemon} = require('./daemon.js');
		const d = await Daemon.start({workers: 2, args: []});
		await d.stop();
		const pidfile = path.join(fs.mkdtempSync('/tmp/chatd-test-'),
		    'chatd.pid');
		const e = await Daemon.start({workers: 2, args: ['-p', pidfile]});
		const descriptors = processDescriptors(e.pid);
		assert.equal((await e.ctl('upgrade')).status, 0);
		await until('no descriptor is left over', () =>
		    processDescriptors(e.pid) === descriptors);
		assert.equal(fs.readFileSync(pidfile, 'utf8'), `${e.pid}\n`);
		const r = await run(CHATD, ['-d', '-w', '1', '-l',
		    '127.0.0.1:0', '-p', pidfile, '-s',
		    path.join(e.dir, 'other.sock')]);
		assert.equal(r.status, 1);
		assert.match(r.stderr, /running already/);
		await e.stop();
		assert.ok(!fs.existsSync(pidfile));
		fs.rmSync(path.dirname(pidfile), {recursive: true});
	});
});
