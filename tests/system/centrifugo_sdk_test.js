/* Centrifugo's own client, npm centrifuge, unchanged. */
'use strict';

const assert = require('node:assert/strict');
const {UnauthorizedError} = require('centrifuge');
const {group: rawGroup} = require('./suite.js');
const {until} = require('./daemon.js');
const {Client} = require('./client.js');
const {TELL, TOKENS, event, now, sdk, sdkLeave, subscribed, token} =
    require('./centrifugo.js');

/* A group whose tests leave no client of the SDK behind. */
function group(name, options, declare) {
	rawGroup(name, options, (test) => declare((title, body, more) =>
	    test(title, async (d) => {
		try {
			await body(d);
		} finally {
			sdkLeave();
		}
	}, more)));
}

/* Two clients that are on different workers; `make` makes one. */
async function apart(d, make) {
	const a = make();
	await a.ready(5000);
	const seen = await d.json('show', 'connections');
	const more = []; /* a worker that is ahead of others leaves them some */
	for (let i = 0; i < 20; i++) {
		const b = make(i);
		await b.ready(5000);
		const all = await d.json('show', 'connections');
		const mine = all.find((c) => !seen.some((o) => o.id === c.id));
		if (mine.worker !== seen[0].worker) {
			for (const other of more)
				other.disconnect();
			await until('gone', async () =>
			    (await d.json('show', 'connections')).length === 2);
			return [a, b];
		}
		seen.push(mine);
		more.push(b);
	}
	throw new Error('all on one worker');
}

group('sdk', {conf: 'channels-per-connection 1000\n'}, (test) => {
	test('two users on different workers', async (d) => {
		const names = ['alice', 'bob'];
		let k = 0;
		const [a, b] = await apart(d, () =>
		    sdk(d, `?user=${names[Math.min(k++, 1)]}`));
		const [x, y] = [await subscribed(a, 'room'),
		    await subscribed(b, 'room')];
		await x.publish({n: 1});
		await until('heard', () => x.heard.length && y.heard.length);
		assert.deepEqual(y.heard[0].data, {n: 1});
		assert.equal(y.heard[0].info.user, 'alice');
		assert.equal(y.heard[0].offset, 1);
		const {clients} = await x.presence();
		assert.deepEqual(Object.values(clients).map((c) => c.user).sort(),
		    names);
		assert.deepEqual(await x.presenceStats(),
		    {numClients: 2, numUsers: 2});
		b.disconnect();
		await until('bob gone', async () =>
		    (await x.presenceStats()).numClients === 1);
	});

	test('everybody hears everything once and in order', async (d) => {
		const n = 12, each = 50;
		const subs = await Promise.all(Array.from({length: n},
		    (_, i) => subscribed(sdk(d, `?user=u${i}`), 'order')));
		await Promise.all(subs.map(async (s, i) => {
			for (let k = 0; k < each; k++)
				await s.publish({i, k});
		}));
		await until('all heard', () => subs.every((s) =>
		    s.heard.length >= n * each), 20000);
		for (const s of subs) {
			assert.deepEqual(s.heard.map((p) => p.offset),
			    Array.from({length: n * each}, (_, k) => k + 1));
			assert.deepEqual(s.heard.map((p) => p.data),
			    subs[0].heard.map((p) => p.data));
		}
	});

	test('history in pages', async (d) => {
		const s = await subscribed(sdk(d), 'pages');
		for (let i = 1; i <= 25; i++)
			await s.publish(i);
		const all = [];
		let since;
		for (;;) {
			const page = await s.history({limit: 10, since});
			if (page.publications.length === 0)
				break;
			all.push(...page.publications.map((p) => p.data));
			since = {offset: page.publications.at(-1).offset,
			    epoch: page.epoch};
		}
		assert.deepEqual(all, Array.from({length: 25}, (_, i) => i + 1));
		await assert.rejects(s.history({limit: 1,
		    since: {offset: 1, epoch: 'other'}}), {code: 112});
	});

	test('recovery after a cut socket, private messages too', async (d) => {
		const a = sdk(d, '?user=alice'), b = sdk(d, '?user=bob');
		const x = await subscribed(a, 'cut'), y = await subscribed(b, 'cut');
		const whispers = [];
		b.on('publication', (p) => whispers.push(p.data));
		await x.publish(1);
		await a.rpc('message', {to: 'bob', data: 'p1'});
		await until('heard', () => y.heard.length && whispers.length);
		const again = event(y, 'subscribed');
		b._transport._transport.terminate(); /* its WebSocket */
		for (let i = 2; i <= 4; i++)
			await x.publish(i);
		await a.rpc('message', {to: 'bob', data: 'p2'});
		const context = await again;
		assert.equal(context.wasRecovering, true);
		assert.equal(context.recovered, true);
		await x.publish(5);
		await until('all', () => y.heard.length >= 5 &&
		    whispers.length >= 2);
		assert.deepEqual(y.heard.map((p) => p.data), [1, 2, 3, 4, 5]);
		assert.deepEqual(whispers, ['p1', 'p2']);
	});

	test('hundreds of subscriptions, again after a cut', async (d) => {
		const c = sdk(d), p = sdk(d);
		await p.ready(5000);
		const names = Array.from({length: 400}, (_, i) => `many${i}`);
		const subs = await Promise.all(names.map((n) => subscribed(c, n)));
		const back = Promise.all(subs.map((s) => event(s, 'subscribed',
		    20000)));
		c._transport.close();
		await back;
		for (const name of names.slice(0, 20)) {
			const s = await subscribed(p, name);
			await s.publish(name);
		}
		await until('heard', () => subs.slice(0, 20).every((s) =>
		    s.heard.length === 1));
	});

	test('a plain client and an SDK in one chat', async (d) => {
		const alice = sdk(d, '?user=alice');
		const s = await subscribed(alice, 'lobby');
		const c = await Client.user(d.port, 'bob');
		c.text('hi');
		assert.equal(await c.heard(), 'bob says: hi');
		await s.publish({text: 'hello "bob"\n'});
		assert.equal(await c.heard(), 'alice says: hello "bob"\n');
		await s.publish({other: [1, 2]});
		assert.equal(await c.heard(), 'alice says: {"other":[1,2]}');
		await until('heard', () => s.heard.length === 3);
		assert.deepEqual(s.heard[0].data, {text: 'hi'});
		assert.equal(s.heard[0].info.user, 'bob');
		const whispered = event(alice, 'publication');
		c.text('/msg alice psst');
		const p = await whispered;
		assert.equal(p.channel, '#alice');
		assert.deepEqual(p.data, {text: 'psst'});
		await alice.rpc('message', {to: 'bob', data: {text: 'yes?'}});
		assert.equal(await c.heard(), 'alice whispers: yes?');
		c.text('/who');
		assert.equal(await c.heard(), '* 2 users: alice, bob');
	});
});

group('sdk, overrun', {conf: `
channel "*" {
	subscribe all
	publish all
	history 3
	recovery yes
}
${TELL}`}, (test) => {
	test('recovered is false after an overrun', async (d) => {
		const a = sdk(d), b = sdk(d);
		const x = await subscribed(a, 'over'), y = await subscribed(b,
		    'over');
		await x.publish(1);
		await until('heard', () => y.heard.length);
		b.disconnect();
		for (let i = 2; i < 10; i++)
			await x.publish(i);
		const again = event(y, 'subscribed');
		b.connect();
		const context = await again;
		assert.equal(context.wasRecovering, true);
		assert.equal(context.recovered, false);
		assert.equal(context.streamPosition.offset, 9);
		await x.publish(10);
		await until('live', () => y.heard.length === 2);
	});

	test('join and leave', async (d) => {
		const a = await subscribed(sdk(d, '?user=alice'), 'tell',
		    {joinLeave: true});
		const joined = [];
		a.on('join', (context) => joined.push(context.info.user));
		const b = sdk(d, '?user=bob');
		await subscribed(b, 'tell');
		await until('joins', () => joined.includes('bob'));
		const left = event(a, 'leave');
		b.disconnect();
		assert.equal((await left).info.user, 'bob');
	});
});

group('sdk, tokens', {conf: TOKENS}, (test) => {
	test('a token is refreshed before it expires', async (d) => {
		let calls = 0;
		const c = sdk(d, '', {getToken: async () =>
		    token({sub: 'alice', exp: now() + (calls++ ? 100 : 2)})});
		await c.ready(5000);
		const s = await subscribed(c, 'r', {getToken: async () =>
		    token({sub: 'alice', channel: 'r', exp: now() + 2})});
		await until('refreshed', () => calls === 2, 10000);
		assert.equal(c.state, 'connected');
		await s.publish(1);
	});

	test('an expired one is replaced', async (d) => {
		let calls = 0;
		const c = sdk(d, '', {
			token: token({sub: 'alice', exp: now() - 20}),
			getToken: async () => {
				calls++;
				return token({sub: 'alice', exp: now() + 100});
			}
		});
		await c.ready(5000);
		assert.equal(calls, 1);
	});

	test('unauthorised', async (d) => {
		const c = sdk(d, '', {getToken: async () => {
			throw new UnauthorizedError('no');
		}});
		assert.equal((await event(c, 'disconnected')).code, 1);
		const bad = sdk(d, '', {token: token({sub: 'x'}, 'other')});
		assert.deepEqual(await event(bad, 'disconnected'),
		    {code: 3500, reason: 'invalid token'});
		const good = sdk(d, '', {token: token({sub: 'x'})});
		const s = good.newSubscription('r');
		s.subscribe();
		assert.equal((await event(s, 'unsubscribed')).code, 103);
	});

	test('channels of the connection token, recovered', async (d) => {
		const t = () => token({sub: 'alice', channels: ['given']});
		const c = sdk(d, '', {token: t()});
		const p = sdk(d, '', {token: token({sub: 'bob',
		    channels: ['given']})});
		const heard = [];
		c.on('publication', (m) => heard.push(m.data));
		await c.ready(5000);
		await p.ready(5000);
		await p.publish('given', 1);
		await until('heard', () => heard.length);
		c.disconnect();
		await p.publish('given', 2);
		c.connect();
		await until('recovered', () => heard.length === 2);
		assert.deepEqual(heard, [1, 2]);
	});
});
