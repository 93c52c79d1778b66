/* Full tables, and what one address or user may have of them. */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const {group} = require('./suite.js');
const {until} = require('./daemon.js');
const {Client, request} = require('./client.js');
const {Line, SECRET} = require('./centrifugo.js');
const {names, subscribe, visitor} = require('./quota.js');

const N = 64, PART = 8;
const SMALL = `users ${N}\nchannels ${N}\nconnections 500\n`;
const COUNTED = `${SMALL}limit-exempt none\n`;
const A = '127.0.0.1', B = '127.0.0.2', C = '127.0.0.3';

/* Nobody is in a channel any more. */
const emptied = (d) => until('no channel is held', async () =>
    (await d.ask('show', 'stats')).channels === 0);

/* An answer over HTTP to an upgrade at the plain door. */
async function upgrade(d, address, user) {
	const c = await Client.connect(d.port, '127.0.0.1',
	    {localAddress: address});
	c.write(request('/ws?user=' + user));
	const head = await c.head();
	if (head.status === 101)
		return {status: 101};
	const n = Number(head.fields['content-length']);
	await c.wait('body', () => c.have >= n);
	return {status: head.status, body: c.take(n).toString()};
}

for (const length of [0, 255])
	group(`full tables, names of ${length || 'any'} bytes`, {conf: SMALL},
	    (test) => {
		test('channels leave users their places', async (d) => {
			const a = await visitor(d, A, '?user=a');
			const {got, error} =
			    await subscribe(a, names('r', N + 3, length));
			assert.equal(got, N);
			assert.deepEqual(error, {code: 100, message:
			    `the table of channels is full (key channels, ` +
			    `limit ${N})`, temporary: true});
			const crowd = [];
			for (let i = 1; i < N; i++) {
				const c = await visitor(d, A,
				    '?user=' + `u${i}.`.padEnd(length && 64, 'x'));
				assert.ok(!c.error, JSON.stringify(c.error));
				crowd.push(c);
			}
			const stats = await d.ask('show', 'stats');
			assert.equal(stats.users, N);
			assert.equal(stats.users_limit, N);
			assert.equal(stats.channels, N);
			assert.equal(stats.channels_limit, N);
			assert.ok(stats.channels_full >= 3);
			assert.equal(stats.over_address_share, 0,
			    'loopback is not counted as one address');
			/* what they are in already is open to all */
			assert.equal((await subscribe(crowd[0],
			    names('r', 5, length))).got, 5);
			/* and now the users are full */
			const full = /the table of users is full \(key users, limit 64\)/;
			const c = await visitor(d, A, '?user=late');
			assert.equal(c.error.code, 100);
			assert.match(c.error.message, full);
			const plain = await upgrade(d, A, 'late');
			assert.equal(plain.status, 503);
			assert.match(plain.body, full);
			assert.ok((await d.ask('show', 'stats')).users_full >= 2);
		});

		test('and users leave channels theirs', async (d) => {
			await emptied(d);
			const crowd = [];
			for (let i = 0; i < N; i++)
				crowd.push(await visitor(d, A,
				    '?user=' + `u${i}.`.padEnd(length && 64, 'x')));
			assert.ok(crowd.every((c) => !c.error));
			assert.equal((await subscribe(crowd[0],
			    names('r', N, length))).got, N);
		});
	});

group('shares', {conf: COUNTED + 'channels-per-user off\n', workers: 2},
    (test) => {
	test('an address gets half of an empty table, then its part',
	    async (d) => {
		/* from all workers */
		const a = [];
		for (let i = 0; i < 6; i++)
			a.push(await visitor(d, A, `?user=a${i}`));
		let got = 0, error;
		for (const [i, l] of a.entries()) {
			const r = await subscribe(l, names(`a${i}.`, 10));
			got += r.got;
			error = r.error;
		}
		assert.equal(got, N / 2);
		assert.deepEqual(error, {code: 100, message: 'the address has ' +
		    'its share of the channels (key address-share, limit 8)',
		    temporary: true});
		const b = await visitor(d, B, '?user=b');
		assert.equal((await subscribe(b, names('b', 20))).got, N / PART);
		const c = await visitor(d, C, '?user=c');
		assert.equal((await subscribe(c, names('c', 3))).got, 3);
		/* a room that others are in costs nothing */
		assert.equal((await subscribe(a[0], names('c', 3))).got, 3);
		const stats = await d.ask('show', 'stats');
		assert.equal(stats.channels, N / 2 + N / PART + 3);
		assert.equal(stats.channels_full, 0);
		assert.equal(stats.over_address_share, 6 * 10 - N / 2 +
		    20 - N / PART);
		await d.logged(/refused: the address has its share of the channels/);
	});

	test('users likewise, at both doors', async (d) => {
		let n = 0, refused;
		for (; !refused; n++) {
			const l = n % 2 ? await visitor(d, A, `?user=u${n}`) : null;
			const r = l ?? await upgrade(d, A, `u${n}`);
			if (l ? l.error : r.status !== 101)
				refused = l ? l.error.message : r.body;
		}
		assert.equal(n - 1, N / 2);
		assert.match(refused, /the address has its share of the users/);
		assert.match(refused, /\(key address-share, limit 8\)/);
		assert.equal((await upgrade(d, B, 'innocent')).status, 101);
	});

	test('a worker that is killed changes no count', async (d) => {
		await emptied(d);
		const a = [];
		for (let i = 0; i < 4; i++) {
			a.push(await visitor(d, A, `?user=a${i}`));
			await subscribe(a[i], names(`a${i}.`, 10));
		}
		for (const round of [1, 2, 3]) {
			const [first] = await d.ask('show', 'workers');
			process.kill(first.pid, 'SIGKILL');
			await until('a new worker', async () => {
				const [w] = await d.ask('show', 'workers');
				return w.pid !== first.pid && w.pid !== 0 &&
				    w.state === 'running';
			});
			assert.equal((await d.ask('show', 'stats')).channels,
			    N / 2, `after ${round}`);
			const r = await subscribe(a[3], names('more', 2));
			assert.equal(r.got, 0);
			assert.match(r.error.message, /address-share/);
			const b = await visitor(d, B, '?user=b');
			assert.equal((await subscribe(b, names('b', 20))).got,
			    N / PART);
			b.client.socket.destroy();
			await until('its channels are gone', async () =>
			    (await d.ask('show', 'stats')).channels === N / 2);
		}
	});

	test('limit-exempt and address-share can be reloaded', async (d) => {
		await emptied(d);
		const a = await visitor(d, A, '?user=a');
		await subscribe(a, names('a', N / 2));
		assert.equal((await subscribe(a, names('b', 1))).got, 0);
		fs.writeFileSync(d.conf, SMALL + 'limit-exempt 127.0.0.1\n' +
		    'channels-per-user off\n');
		assert.equal((await d.ctl('reload')).status, 0);
		assert.equal((await subscribe(a, names('b', 1))).got, 1);
		const b = await visitor(d, B, '?user=b');
		assert.equal((await subscribe(b, names('x', 9))).got, N / PART);
		fs.writeFileSync(d.conf, COUNTED +
		    'channels-per-user off\naddress-share 16\n');
		assert.equal((await d.ctl('reload')).status, 0);
		const c = await visitor(d, C, '?user=c');
		assert.equal((await subscribe(c, names('y', 9))).got, N / 16);
		fs.writeFileSync(d.conf, COUNTED +
		    'channels-per-user off\naddress-share off\n');
		assert.equal((await d.ctl('reload')).status, 0);
		assert.ok((await subscribe(c, names('z', N))).error
		    .message.startsWith('the table of channels is full'));
	});
});

group('a flood of refusals', {conf: COUNTED + 'channels-per-user off\n',
    workers: 1}, (test) => {
	test('the log is told once a second, with a number', async (d) => {
		const begin = Date.now(), refused = 300;
		const a = await visitor(d, A, '?user=a');
		const r = await subscribe(a, names('a', N / 2 + refused));
		assert.equal(r.got, N / 2);
		const of = () => d.stderr.split('\n')
		    .filter((line) => /its share of the channels/.test(line));
		await until('all are told', () => of().reduce((sum, line) => sum +
		    Number(/(\d+) more refused/.exec(line)?.[1] ?? 1), 0) ===
		    refused);
		assert.ok(of().length <= 2 + (Date.now() - begin) / 1000,
		    of().join('\n'));
		assert.equal((await d.ask('show', 'stats')).over_address_share,
		    refused);
	});
});

group('of a user', {conf: `${COUNTED}address-share off\nchannels-per-user 5\n`},
    (test) => {
	test('over all connections; others\' rooms cost nothing', async (d) => {
		const a = await visitor(d, A, '?user=alice');
		const b = await visitor(d, B, '?user=alice');
		assert.equal((await subscribe(a, names('a', 3))).got, 3);
		const r = await subscribe(b, names('b', 3));
		assert.equal(r.got, 2);
		assert.deepEqual(r.error, {code: 106, message: 'the user has all ' +
		    'channels that one may have (key channels-per-user, limit 5)'});
		const bob = await visitor(d, A, '?user=bob');
		assert.equal((await subscribe(bob, names('c', 5))).got, 5);
		assert.equal((await subscribe(a, names('c', 5))).got, 5);
		assert.equal((await d.ask('show', 'stats')).over_channels_per_user,
		    1);
		/* at the plain door in words */
		const p = await Client.user(d.port, 'bob');
		await p.text('/join more');
		await until('the answer', async () => /^\* you are in too many rooms to join more: the user has all channels that one may have \(key channels-per-user, limit 5\)$/
		    .test(await p.heard()));
	});

	test('what one leaves, another one is free to open', async (d) => {
		await emptied(d);
		const a = await visitor(d, A, '?user=alice');
		assert.equal((await subscribe(a, names('a', 6))).got, 5);
		assert.ok((await a.ask('unsubscribe', {channel: 'a0.'}))
		    .unsubscribe);
		assert.equal((await subscribe(a, names('n', 1))).got, 1);
		assert.equal((await subscribe(a, names('m', 1))).got, 0);
	});
});

group('with tokens', {conf: `${COUNTED}address-share off
channels-per-user 5\ntoken-key "${SECRET}"
channel "*" {
	subscribe all
}
`}, (test) => {
	test('one token, many connections; anonymous ones have no user',
	    async (d) => {
		let got = 0;
		for (let i = 0; i < 4; i++) {
			const l = await visitor(d, A, '', {sub: 'mallory'});
			got += (await subscribe(l, names(`m${i}.`, 4))).got;
		}
		assert.equal(got, 5);
		const n = await visitor(d, A, '', {sub: ''});
		assert.equal((await subscribe(n, names('n', 20))).got, 20);
	});
});
