/*
 * The service manager's descriptor store (manager.py plays systemd): the
 * master is killed, the next one goes on with the same listeners and the same
 * shared memory, and clients that come back recover what they missed.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const {group} = require('./suite.js');
const {CHATCTL, answers, freePort, processChildren, run, until} =
    require('./daemon.js');
const {Managed} = require('./managed.js');
const {event, sdk, sdkLeave, subscribed} = require('./centrifugo.js');
const {Client, request} = require('./client.js');

const CONF = 'channel "room" {\n\tsubscribe all\n\tpublish all\n' +
    '\thistory 100\n\trecovery yes\n\tpresence yes\n}\n';

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
