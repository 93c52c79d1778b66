/*
 * The service manager's descriptor store (manager.py plays systemd): the
 * master is killed, the next one goes on with the same listeners and the same
 * shared memory, and clients that come back recover what they missed.
 */
'use strict';

const assert = require('node:assert/strict');
const {spawn} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {group} = require('./suite.js');
const {CHATCTL, CHATD, ENV, answers, checkReports, freePort,
    processChildren, processLives, run, until} =
    require('./daemon.js');
const {event, sdk, sdkLeave, subscribed} = require('./centrifugo.js');
const {Client, request} = require('./client.js');

const CONF = 'channel "room" {\n\tsubscribe all\n\tpublish all\n' +
    '\thistory 100\n\trecovery yes\n\tpresence yes\n}\n';

/* A chatd under a service manager; looks to tests like a Daemon. */
class Managed {
	static async start(conf = CONF, closed = '') {
		const m = new Managed();
		m.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-test-'));
		m.conf = path.join(m.dir, 'chatd.conf');
		m.socket = path.join(m.dir, 'control.sock');
		m.port = await freePort();
		m.write(conf);
		m.lines = [];
		m.bad = []; /* what the manager did not like */
		m.stderr = '';
		m.child = spawn('/usr/bin/python3', [
		    path.join(__dirname, 'manager.py'),
		    path.join(m.dir, 'notify.sock'), '/bin/sh', '-c',
		    `exec "$@" ${closed}`, 'sh', CHATD, '-d', '-w', '3',
		    '-s', m.socket, '-f', m.conf],
		    {stdio: ['pipe', 'pipe', 'pipe'], env: ENV});
		let text = '';
		m.child.stdout.on('data', (data) => {
			text += data;
			const lines = text.split('\n').slice(0, -1);
			m.lines.push(...lines);
			m.bad.push(...lines.filter((l) => /^bad/.test(l)));
			text = text.split('\n').at(-1);
		});
		m.child.stderr.on('data', (data) => m.stderr += data);
		m.exited = new Promise((resolve) => m.child.on('exit', resolve));
		await m.again();
		return m;
	}

	write(conf, ...addresses) {
		fs.writeFileSync(this.conf, conf + [`127.0.0.1:${this.port}`,
		    ...addresses].map((a) => `listen "${a}"\n`).join(''));
	}

	/* Starts the daemon, once more. */
	async again() {
		this.lines.length = 0;
		this.child.stdin.write('start\n');
		const line = await this.told(/^ready (\d+)/, 15000);
		this.pid = Number(line.split(' ')[1]);
	}

	told(pattern, ms = 5000) {
		return until(`${pattern} from the manager`, () =>
		    this.lines.find((line) => pattern.test(line)), ms)
		    .catch((error) => {
			throw new Error(`${error.message}\n${this.stderr}`);
		});
	}

	/* A line of the daemons' log. */
	logged(pattern) {
		return until(`${pattern} in the log`, () =>
		    pattern.test(this.stderr));
	}

	/* Ends the master; resolves when nobody is left. */
	async kill(signal = 'SIGKILL') {
		const family = processChildren(this.pid);
		process.kill(this.pid, signal);
		await this.told(/^dead/);
		await until('all have left', () => !family.some(processLives));
	}

	ctl(...args) {
		return run(CHATCTL, ['-s', this.socket, ...args]);
	}

	async json(...args) {
		return JSON.parse((await this.ctl('-j', ...args)).stdout);
	}

	async end() {
		this.child.stdin.end('quit\n');
		await this.exited;
		fs.rmSync(this.dir, {recursive: true, force: true});
		assert.deepEqual(this.bad, []);
		checkReports(this.stderr);
	}
}

/* A client in the room that leaves, having said something, and comes back. */
class Member {
	static async come(m) {
		const a = new Member();
		a.client = sdk(m, '?user=alice');
		await a.client.ready(5000);
		a.room = await subscribed(a.client, 'room');
		return a;
	}

	async leave() {
		await this.client.publish('room', {n: 1});
		this.client.disconnect();
	}

	/* Comes back; whether the daemon knew where it had been. */
	async recovers() {
		const again = event(this.room, 'subscribed');
		this.client.connect();
		return (await again).recovered;
	}
}

/* A test with a managed daemon. */
function managed(body, closed) {
	return async () => {
		const m = await Managed.start(CONF, closed);
		try {
			await body(m);
		} finally {
			sdkLeave();
			Client.dropAll();
			await m.end();
		}
	};
}

group('descriptor store', null, (test) => {
	test('what was missed while the master was dead is recovered',
	    managed(async (m) => {
		await m.told(/^stored chatd-listener 1/);
		await m.told(/^stored chatd-hub 1/);
		await m.told(/^stored chatd-state 1/);
		const a = sdk(m, '?user=alice'), b = sdk(m, '?user=bob');
		await Promise.all([a.ready(5000), b.ready(5000)]);
		const sub = await subscribed(a, 'room');
		await b.publish('room', {n: 1});
		await until('the first', () => sub.heard.length === 1);
		a.disconnect();
		await b.publish('room', {n: 2});
		await b.publish('room', {n: 3});
		await m.kill();
		/* The listener lives: who connects now is served later. */
		const early = await Client.connect(m.port);
		early.write(request('/ws?user=early'));
		await m.again();
		assert.equal((await early.head()).status, 101);
		await m.told(/^ready/);
		assert.ok(!m.lines.some((l) => /^stored|^removed/.test(l)),
		    'the manager has it all');
		await m.logged(/goes on with the shared memory/);
		await b.ready(5000);
		await b.publish('room', {n: 4});
		const again = event(sub, 'subscribed');
		a.connect();
		const context = await again;
		assert.equal(context.wasRecovering, true);
		assert.equal(context.recovered, true);
		await until('all four', () => sub.heard.length === 4);
		assert.deepEqual(sub.heard.map((p) => [p.offset, p.data.n]),
		    [[1, 1], [2, 2], [3, 3], [4, 4]]);
	}));
	test('chatctl -m looks at what the manager keeps of the dead',
	    managed(async (m) => {
		const a = await Member.come(m);
		await a.client.publish('room', {n: 1});
		const journal = await m.json('show', 'journal');
		await m.kill();
		const r = await run(CHATCTL, ['-m', String(m.child.pid), '-j',
		    'show', 'journal']);
		assert.equal(r.status, 0, r.stderr);
		assert.ok(journal.length > 0);
		assert.deepEqual(JSON.parse(r.stdout), journal);
		await sdkLeave(a.client);
	}));

	test('nobody dead is present, nothing leaks', managed(async (m) => {
		const all = await Promise.all(Array.from({length: 40}, (_, i) =>
		    Client.user(m.port, `u${i}`)));
		for (let i = 0; i < 3; i++) {
			for (const c of all)
				c.text('x'.repeat(1000 + i));
			await m.kill();
			await m.again();
			assert.deepEqual(await m.json('show', 'users'), []);
			assert.deepEqual(await m.json('show', 'connections'), []);
			all.length = 0;
			all.push(...await Promise.all(Array.from({length: 40},
			    (_, k) => Client.user(m.port, `v${i}.${k}`))));
			assert.equal((await m.json('show', 'users')).length, 40);
			all[0].text('hello');
			for (const c of all)
				while (!/hello/.test(await c.heard()))
					;
		}
	}));
	test('other sizes: a new beginning', managed(async (m) => {
		const a = await Member.come(m);
		await a.leave();
		await m.kill();
		m.write(CONF + 'users 1000\n');
		await m.again();
		await m.told(/^stored chatd-hub 1/);
		await m.logged(/of no use: the configuration's sizes/);
		assert.ok(!await a.recovers());
		/* And that is what is kept from now on. */
		await a.leave();
		await m.kill();
		await m.again();
		assert.ok(await a.recovers());
	}));
	test('other addresses are bound, what was said is kept',
	    managed(async (m) => {
		const a = await Member.come(m);
		await a.leave();
		/* One more, another one on the same port, and back again. */
		const more = `127.0.0.1:${await freePort()}`;
		for (const addresses of [[more], [`[::1]:${m.port}`, more], []]) {
			await m.kill();
			m.write(CONF, ...addresses);
			await m.again();
			await m.told(/^removed chatd-listener/);
			assert.ok(await answers(m.port));
		}
		assert.ok(!await answers(more.split(':')[1]));
		assert.ok(await a.recovers());
	}));
	test('a restart', managed(async (m) => {
		const a = await Member.come(m);
		await a.leave();
		await m.kill('SIGTERM');
		await m.told(/^dead 0/);
		assert.ok(await answers(m.port), 'who connects waits');
		await m.again();
		assert.ok(await a.recovers());
	}));
	test('who connects at QUIT is refused, not kept waiting',
	    managed(async (m) => {
		const c = await Client.user(m.port, 'alice');
		process.kill(m.pid, 'SIGQUIT');
		await m.told(/^removed chatd-listener/);
		await until('refused', async () => !await answers(m.port));
		c.text('hello');
		assert.equal(await c.heard(), 'alice says: hello');
		await c.close();
		await m.told(/^dead 0/);
		await m.again();
		assert.ok(await answers(m.port));
	}));
	test('with descriptors 0, 1 and 2 closed', managed(async (m) => {
		const closed = () => [m.pid, ...processChildren(m.pid)]
		    .forEach((pid) => [0, 1, 2].forEach((fd) =>
			assert.equal(fs.readlinkSync(`/proc/${pid}/fd/${fd}`),
			    '/dev/null')));
		closed();
		const a = await Member.come(m);
		await a.leave();
		await m.kill();
		await m.again(); /* LISTEN_FDS from 3 on, 0 to 2 closed */
		closed();
		assert.ok(await a.recovers());
	}, '<&- >&- 2>&-'));
	test('after an upgrade that has copied the memory', managed(async (m) => {
		const a = await Member.come(m);
		m.write(CONF + 'users 5000\n');
		assert.equal((await m.ctl('upgrade')).status, 0);
		await m.logged(/memory copied in/);
		await a.leave();
		await m.kill();
		await m.again();
		assert.ok(await a.recovers());
	}));
	test('killed while the memory is copied: the old one counts',
	    managed(async (m) => {
		const a = await Member.come(m);
		await a.leave();
		m.write(CONF + 'users 5000\n');
		const [one] = await m.json('show', 'workers');
		process.kill(one.pid, 'SIGSTOP');
		const asked = m.ctl('upgrade');
		await until('workers stop', async () =>
		    (await m.json('show', 'upgrade')).state === 'stopping');
		await m.kill();
		await asked;
		m.write(CONF);
		await m.again();
		assert.ok(await a.recovers());
	}));
	test('after an upgrade, too', managed(async (m) => {
		const a = await Member.come(m);
		assert.equal((await m.ctl('upgrade')).status, 0);
		await a.leave();
		await m.kill();
		await m.again();
		assert.ok(await a.recovers());
	}));
});
