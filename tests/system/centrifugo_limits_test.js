/* The centrifugo door: deadlines, rates, tokens, slow readers. */
'use strict';

const assert = require('node:assert/strict');
const {group} = require('./suite.js');
const {pause} = require('./daemon.js');
const {Client, request} = require('./client.js');
const {Line, SECRET, TOKENS, now, token} = require('./centrifugo.js');

group('deadlines', {conf: 'ping-interval 300ms\npong-timeout 500ms\n' +
    'connect-timeout 400ms\n'}, (test) => {
	test('no connect: 3502', async (d) => {
		const l = await Line.open(d);
		await l.closed(3502, 'stale');
	});

	test('no pong: 3012', async (d) => {
		const l = await Line.connected(d);
		assert.equal(l.welcome.connect.ping, 1);
		assert.equal(await l.raw(), '{}');
		await l.closed(3012, 'no pong');
	});

	test('pongs keep it', async (d) => {
		const l = await Line.connected(d);
		for (let i = 0; i < 4; i++) {
			assert.equal(await l.raw(), '{}');
			l.say('{}');
		}
		l.say('{}');
		await l.closed(3501);
	});
});

group('rate', {conf: 'message-rate 5/s burst 5\n'}, (test) => {
	test('111, and ten in a row: 3013', async (d) => {
		const l = await Line.connected(d);
		assert.equal(l.welcome.connect.data.limits.message_rate, 5);
		for (let i = 0; i < 4; i++)
			assert.ok((await l.ask('ping')).ping);
		await l.refused('ping', {}, 111, 'too many requests');
		await pause(400);
		assert.ok((await l.ask('ping')).ping, 'a pause helps');
		l.say(...Array.from({length: 20}, (_, i) =>
		    ({id: 100 + i, ping: {}})));
		await l.closed(3013, 'too many requests');
	});
});

group('tokens', {conf: `${TOKENS}channel "open" {
	subscribe users
	publish all
}
`}, (test) => {
	const connect = (d, claims, more) =>
	    Line.connected(d, '', {token: token(claims), ...more});

	test('the log says that it is secure', async (d) => {
		await d.logged(/secure: who connects shows a token/);
	});

	test('?user= is refused at both doors', async (d) => {
		for (const path of ['/ws?user=alice',
		    '/connection/websocket?user=alice']) {
			const c = await Client.connect(d.port);
			c.write(request(path));
			assert.equal((await c.head()).status, 401);
		}
	});

	test('no token: 3501', async (d) => {
		const l = await Line.open(d);
		l.say({id: 1, connect: {}});
		await l.closed(3501);
		await d.logged(/127\.0\.0\.1:\d+: connect without a token/);
	});

	const bad = {
		'another key': token({sub: 'x'}, 'other'),
		'alg none': token({sub: 'x'}, SECRET, {alg: 'none'}),
		'no token at all': 'x.y.z', 'sub is a number': token({sub: 5}),
		'a sub that may not be': token({sub: '#x'})
	};
	for (const [name, t] of Object.entries(bad))
		test(`${name}: 3500`, async (d) => {
			const l = await Line.open(d);
			l.say({id: 1, connect: {token: t}});
			await l.closed(3500, 'invalid token');
		});

	test('expired, or not yet: 109, then nothing but 3501', async (d) => {
		for (const claims of [{sub: 'x', exp: now() - 15},
		    {sub: 'x', nbf: now() + 60}]) {
			const l = await Line.open(d);
			await l.refused('connect', {token: token(claims)}, 109,
			    'token expired');
			l.say({id: 5, connect: {token: token({sub: 'x'})}});
			await l.closed(3501);
		}
	});

	test('who it is: sub, info, channels', async (d) => {
		const a = await connect(d, {sub: 'alice', info: {n: 'A'},
		    channels: ['given'], exp: now() + 100});
		const c = a.welcome.connect;
		assert.equal(c.expires, true);
		assert.ok(c.ttl > 90 && c.ttl <= 100);
		assert.deepEqual(Object.keys(c.subs), ['#alice', 'given']);
		await a.ask('publish', {channel: 'given', data: 1});
		const {pub} = await a.push();
		assert.deepEqual(pub.info, {user: 'alice', client: c.client,
		    conn_info: {n: 'A'}});
		const {presence} = (await a.ask('presence', {channel: 'given'}))
		    .presence;
		assert.deepEqual(presence, {[c.client]: pub.info});
		const n = await connect(d, {});
		assert.equal(n.welcome.connect.subs, undefined);
		await n.refused('subscribe', {channel: 'open'}, 103);
		assert.ok((await a.ask('subscribe', {channel: 'open'})).subscribe);
	});

	test('subscription tokens', async (d) => {
		const a = await connect(d, {sub: 'alice'});
		await a.refused('subscribe', {channel: 'r'}, 103);
		const good = {sub: 'alice', channel: 'r'};
		for (const t of ['x', token({...good, channel: 'q'}),
		    token({...good, sub: 'bob'}), token({channel: 'r'}),
		    token({sub: 'alice'}), token(good, 'other')])
			await a.refused('subscribe', {channel: 'r', token: t}, 103);
		await a.refused('subscribe', {channel: 'r',
		    token: token({...good, exp: now() - 15})}, 109);
		const {subscribe} = await a.ask('subscribe', {channel: 'r',
		    token: token({...good, exp: now() + 50, info: {r: 1}})});
		assert.equal(subscribe.expires, true);
		assert.ok(subscribe.ttl > 40 && subscribe.ttl <= 50);
		const {presence} = (await a.ask('presence', {channel: 'r'}))
		    .presence;
		assert.deepEqual(Object.values(presence)[0].chan_info, {r: 1});
		await a.ask('publish', {channel: 'r', data: 1});
		const {pub} = await a.push();
		assert.deepEqual(pub.info, Object.values(presence)[0]);
		const {history} = await a.ask('history', {channel: 'r', limit: 1});
		assert.deepEqual(history.publications, [pub]);
		const r = await a.ask('sub_refresh', {channel: 'r',
		    token: token({...good, exp: now() + 500})});
		assert.ok(r.sub_refresh.ttl > 490);
		await a.refused('sub_refresh', {channel: 'r', token: 'x'}, 103);
		await a.refused('sub_refresh', {channel: 'r',
		    token: token({...good, exp: now() - 15})}, 109);
		await a.refused('history', {channel: 'q'}, 103);
	});

	test('refresh', async (d) => {
		const a = await connect(d, {sub: 'alice', exp: now() + 100});
		const {refresh} = await a.ask('refresh',
		    {token: token({sub: 'alice', exp: now() + 1000})});
		assert.ok(refresh.expires && refresh.ttl > 990);
		a.say({id: 7, refresh: {token: token({sub: 'alice',
		    exp: now() - 15})}});
		await a.closed(3005, 'connection expired');
		const b = await connect(d, {sub: 'bob'});
		b.say({id: 7, refresh: {token: token({sub: 'alice'})}});
		await b.closed(3500);
	});

	test('what is not refreshed ends 25 s after it expired', async (d) => {
		const a = await connect(d, {sub: 'alice', exp: now() + 1});
		const b = await connect(d, {sub: 'bob'});
		await b.ask('subscribe', {channel: 'r', token: token({sub: 'bob',
		    channel: 'r', exp: now() + 1})});
		const begin = Date.now();
		await a.closed(3005, 'connection expired', 40000);
		assert.ok(Date.now() - begin > 20000);
		let push;
		do
			push = await b.hear();
		while (!push.push);
		assert.deepEqual(push.push, {channel: 'r', unsubscribe:
		    {code: 2501, reason: 'subscription expired'}});
	}, {limit: 60000});
});

for (const table of ['channels', 'subscriptions'])
	group(`no room for ${table}`, {conf: table + ' 16\n'}, (test) => {
		test('error 100 for subscribe, counted; the rest goes on',
		    async (d) => {
			const l = await Line.connected(d, '?user=alice');
			let n = 0, reply;
			do
				reply = await l.ask('subscribe', {channel: `r${++n}`});
			while (!reply.error && n < 100);
			assert.equal(reply.error?.code, 100);
			assert.ok(reply.error.temporary && n > 1);
			assert.ok((await l.ask('publish', {channel: 'r1', data: 1}))
			    .publish);
			const stats = await d.json('show', 'stats');
			assert.equal(stats[`${table}_full`], 1);
			assert.match(reply.error.message,
			    new RegExp(`\\(key ${table}, limit 16\\)`));
			await l.ask('unsubscribe', {channel: 'r1'});
			assert.ok((await l.ask('subscribe', {channel: 'r1'}))
			    .subscribe);
		});
	});

for (const policy of ['disconnect', 'skip'])
	group(`slow readers, ${policy}`, {conf: 'queue 64K\nslow-policy ' +
	    policy + '\nchannel "lobby" {\n\tsubscribe all\n\tpublish all\n' +
	    '\thistory 1000\n\trecovery yes\n}\n'}, (test) => {
		/* Publishes more than all buffers hold, until `done`; returns
		 * how many. */
		async function flood(d, channel, done = () => false) {
			const l = await Line.connected(d);
			const data = 'x'.repeat(32768);
			let n = 0;
			for (; n < 500 && (n % 20 || !await done()); n++)
				assert.ok((await l.ask('publish', {channel, data}))
				    .publish);
			return n;
		}

		const skipping = policy === 'skip';

		test(skipping ? 'a gap notice, then recovery' : '3008',
		    async (d) => {
			const l = await Line.connected(d, '?user=slow');
			await l.ask('subscribe', {channel: 'lobby'});
			l.client.socket.pause();
			await flood(d, 'lobby', async () => !skipping &&
			    (await d.json('show', 'users')).length === 0);
			l.client.socket.resume();
			if (!skipping) {
				await l.closed(3008, 'slow');
				return;
			}
			let last = 0, push;
			for (;;) {
				push = await l.push();
				if (!push.pub)
					break;
				assert.equal(push.pub.offset, last + 1);
				last = push.pub.offset;
			}
			assert.ok(last < 500);
			assert.ok((await d.json('show', 'stats')).skipped > 0);
			assert.deepEqual(push, {channel: 'lobby', unsubscribe:
			    {code: 2500, reason: 'insufficient state'}});
			assert.ok((await l.ask('subscribe', {channel: 'lobby'}))
			    .subscribe);
		});

		if (skipping)
			test('the plain door says how many', async (d) => {
				const c = await Client.user(d.port, 'slow');
				c.socket.pause();
				const n = await flood(d, 'lobby');
				c.socket.resume();
				/* What is published after the notice is heard. */
				let got = 0, gone = 0;
				while (got + gone < n) {
					const text = await c.heard();
					const m = /^\* (\d+) messages? (was|were) skipped$/
					    .exec(text);
					if (m)
						gone += Number(m[1]);
					else
						got++;
				}
				assert.equal(got + gone, n);
				assert.ok(gone > 0, 'nothing was skipped');
			});
	});
