/* The centrifugo door line by line: what is accepted, refused and closed. */
'use strict';

const assert = require('node:assert/strict');
const {group} = require('./suite.js');
const {until} = require('./daemon.js');
const {Client, request} = require('./client.js');
const {Line, token} = require('./centrifugo.js');

group('upgrade', {}, (test) => {
	const answers = {
		'no subprotocol': [null, '', 101, undefined],
		'centrifuge-json': ['centrifuge-json', '', 101, 'centrifuge-json'],
		'both': ['centrifuge-protobuf, centrifuge-json', '', 101,
		    'centrifuge-json'],
		'another': ['graphql-ws', '', 101, undefined],
		'centrifuge-protobuf': ['centrifuge-protobuf', '', 400],
		'format=protobuf': [null, '?format=protobuf', 400],
		'cf_protocol=protobuf': [null, '?cf_protocol=protobuf', 400],
		'format=json': [null, '?format=json', 101, undefined],
		'a name that may not be': [null, '?user=%23x', 400]
	};
	for (const [name, [offer, query, status, chosen]] of
	    Object.entries(answers))
		test(name, async (d) => {
			const c = await Client.connect(d.port);
			c.write(request('/connection/websocket' + query,
			    {'Sec-WebSocket-Protocol': offer}));
			const answer = await c.head();
			assert.equal(answer.status, status);
			assert.equal(answer.fields['sec-websocket-protocol'],
			    chosen);
			if (status === 400 && !query.includes('user'))
				assert.match(c.take(c.have).toString(), /JSON/);
		});
});

group('strict', {}, (test) => {
	const bad = {
		'no JSON': 'x', 'an array': '[]', 'a string': '"x"', 'null': 'null',
		'an empty frame': '', 'an empty line':
		    '{"id":2,"rpc":{"method":"who"}}\n\n{"id":3,"ping":{}}',
		'only a line break': '\n', 'two objects': '{"id":2,"ping":{}} {}',
		'id 0': '{"id":0,"ping":{}}', 'no id': '{"ping":{}}',
		'a negative id': '{"id":-1,"ping":{}}',
		'a fraction as id': '{"id":1.5,"ping":{}}',
		'a text as id': '{"id":"2","ping":{}}',
		'an id over 32 bits': '{"id":4294967296,"ping":{}}',
		'no command': '{"id":2}', 'an unknown command': '{"id":2,"x":{}}',
		'a command that is no object': '{"id":2,"publish":3}',
		'a second connect': '{"id":2,"connect":{}}',
		'a pong without a ping': '{}',
		'no channel': '{"id":2,"subscribe":{}}',
		'a channel that is no text': '{"id":2,"subscribe":{"channel":1}}',
		'a wrong type within': '{"id":2,"subscribe":{"channel":"x",' +
		    '"recover":1}}',
		'refresh without a token': '{"id":2,"refresh":{}}'
	};
	for (const [name, line] of Object.entries(bad))
		test(`${name}: 3501`, async (d) => {
			const l = await Line.connected(d);
			l.say(line);
			await l.closed(3501, 'bad request');
		});

	for (const line of ['{"id":1,"subscribe":{"channel":"x"}}', '{}',
	    '{"id":1,"ping":{}}'])
		test(`before connect: ${line}`, async (d) => {
			const l = await Line.open(d);
			l.say(line);
			await l.closed(3501, 'bad request');
		});

	test('send is not available', async (d) => {
		const l = await Line.connected(d);
		l.say('{"send":{"data":{}}}');
		await l.closed(3508, 'not available');
	});

	test('unknown keys are skipped, a line break may come last', async (d) => {
		const l = await Line.connected(d);
		await l.say('{"id":2,"new":[1,{"x":"}"}],"ping":{"z":1}}\n');
		assert.equal(await l.raw(), '{"id":2,"ping":{}}');
	});

	test('of several commands in one object the first counts', async (d) => {
		const l = await Line.connected(d);
		l.say('{"id":2,"rpc":{"method":"who"},"ping":{}}');
		assert.equal(await l.raw(), '{"id":2,"ping":{}}');
	});

	test('several commands in a frame, in order', async (d) => {
		const l = await Line.connected(d);
		const n = 50;
		await l.ask('subscribe', {channel: 'room'});
		l.say(...Array.from({length: n}, (_, i) =>
		    ({id: 100 + i, publish: {channel: 'room', data: i}})));
		const ids = [], data = [];
		while (ids.length < n || data.length < n) {
			const m = await l.hear();
			if (m.id)
				ids.push(m.id);
			else
				data.push(m.push.pub.data);
		}
		assert.deepEqual(ids, Array.from({length: n}, (_, i) => 100 + i));
		assert.deepEqual(data, Array.from({length: n}, (_, i) => i));
	});

	test('connect in one frame with what follows', async (d) => {
		const l = await Line.open(d, '?user=alice');
		l.say({id: 1, connect: {}}, {id: 2, subscribe: {channel: 'one'}},
		    {id: 3, publish: {channel: 'one', data: {a: 1}}});
		assert.equal((await l.hear()).id, 1);
		assert.equal((await l.hear()).id, 2);
		assert.equal(await l.raw(), '{"id":3,"publish":{}}');
		assert.equal((await l.push()).pub.offset, 1);
	});

	test('a binary message and one that is too big', async (d) => {
		const a = await Line.connected(d), b = await Line.connected(d);
		a.client.send(2, 'x');
		await a.closed(1003);
		b.client.text('{"id":2,"publish":{"channel":"x","data":"' +
		    'x'.repeat(65536) + '"}}');
		await b.closed(1009);
	});

	test('a client that leaves gets its own code back', async (d) => {
		const l = await Line.connected(d);
		await l.client.close(1001);
		const m = await Line.connected(d);
		m.client.send(8, Buffer.from([0x03, 0xe9]));
		assert.equal((await m.client.closing()).code, 1001);
	});
});

group('many commands', {conf: 'message-size 1M\n'}, (test) => {
	for (const [n, good] of [[8191, true], [8192, false]])
		test(`${n} in a frame`, async (d) => {
			const l = await Line.connected(d);
			l.say(...Array.from({length: n}, (_, i) =>
			    ({id: i + 1, ping: {}})));
			for (let i = 0; i < 8191; i++)
				assert.equal((await l.hear()).id, i + 1);
			if (good)
				await l.client.quiet();
			else
				await l.closed(3501);
		});
});

group('connect', {}, (test) => {
	test('the reply, nobody', async (d) => {
		const l = await Line.connected(d);
		assert.deepEqual(Object.keys(l.welcome.connect),
		    ['client', 'version', 'data', 'ping', 'pong']);
		assert.match(l.welcome.connect.client, /^[0-9a-f]{16}$/);
		assert.equal(l.welcome.connect.ping, 25);
		assert.equal(l.welcome.connect.pong, true);
		assert.equal(l.welcome.connect.data.limits.channels, 128);
		assert.deepEqual(await d.json('show', 'users'), []);
		const [c] = await d.json('show', 'connections');
		assert.equal(c.door, 'centrifugo');
	});

	test('the reply, alice', async (d) => {
		const l = await Line.connected(d, '?user=alice&device=tab');
		const own = l.welcome.connect.subs['#alice'];
		assert.match(own.epoch, /^[0-9a-f]{8}$/);
		assert.deepEqual(own, {recoverable: true, epoch: own.epoch,
		    positioned: true});
		const [u] = await d.json('show', 'users');
		assert.equal(u.user, 'alice');
	});

	test('alice is nobody before her connect', async (d) => {
		const l = await Line.open(d, '?user=alice');
		assert.deepEqual(await d.json('show', 'users'), []);
		await l.ask('connect');
		assert.equal((await d.json('show', 'users')).length, 1);
	});

	test('a token without a key: 3500', async (d) => {
		const l = await Line.open(d);
		l.say({id: 1, connect: {token: token({sub: 'x'})}});
		await l.closed(3500, 'invalid token');
	});

	test('kick', async (d) => {
		const l = await Line.connected(d, '?user=alice');
		await d.ctl('kick', 'alice');
		await l.closed(3503, 'force disconnect');
	});

	test('TERM', async (d) => {
		const l = await Line.connected(d, '?user=alice');
		const stopped = d.stop();
		await l.closed(3001, 'shutdown');
		await stopped;
	}, {ends: true});
});

group('rules', {conf: `
channel "open:*" {
	subscribe all
	publish all
	history 5
	recovery yes
	presence yes
}
channel "named:*" {
	subscribe users
	publish subscribers
	presence yes
}
channel "read:*" {
	subscribe all
	publish none
}
channel "shut:*" {
	subscribe none
	publish all
}
channel "tell:*" {
	subscribe all
	publish all
	presence yes
	join-leave yes
}
channels-per-connection 4
`}, (test) => {
	test('subscribe, publish, unsubscribe', async (d) => {
		const l = await Line.connected(d, '?user=alice');
		const {subscribe} = await l.ask('subscribe', {channel: 'open:1'});
		assert.deepEqual(subscribe, {recoverable: true,
		    epoch: subscribe.epoch, positioned: true});
		await l.refused('subscribe', {channel: 'open:1'}, 105,
		    'already subscribed');
		assert.deepEqual(await l.ask('publish', {channel: 'open:1',
		    data: {a: [1, ' ', null]}}), {id: l.id, publish: {}});
		const push = await l.push();
		assert.equal(push.channel, 'open:1');
		assert.ok(Math.abs(push.pub.time - Date.now()) < 60000);
		assert.deepEqual(push.pub, {data: {a: [1, ' ', null]}, info:
		    {user: 'alice', client: l.welcome.connect.client},
		    offset: 1, time: push.pub.time});
		assert.deepEqual(await l.ask('unsubscribe', {channel: 'open:1'}),
		    {id: l.id, unsubscribe: {}});
		await l.ask('publish', {channel: 'open:1', data: 1});
		await l.client.quiet();
		await l.ask('unsubscribe', {channel: 'open:1'});
	});

	test('data goes through as it was written', async (d) => {
		const l = await Line.connected(d);
		await l.ask('subscribe', {channel: 'open:raw'});
		l.say('{"id":9,"publish":{"channel":"open:raw","data":' +
		    ' { "b" : 1.50 , "a":"\\u00e9\\/", "big":12345678901234567890 } }}');
		assert.equal(await l.raw(), '{"id":9,"publish":{}}');
		assert.match(await l.raw(), /"data":\{ "b" : 1\.50 , "a":"\\u00e9\\\/", "big":12345678901234567890 \}/);
	});

	test('who may not', async (d) => {
		const l = await Line.connected(d), a = await Line.connected(d,
		    '?user=alice');
		await l.refused('subscribe', {channel: 'nowhere'}, 102,
		    'unknown channel');
		await l.refused('publish', {channel: 'nowhere', data: 1}, 102);
		await l.refused('history', {channel: 'nowhere'}, 102);
		await l.refused('presence', {channel: 'nowhere'}, 102);
		await l.refused('subscribe', {channel: 'named:1'}, 103,
		    'permission denied');
		await l.refused('publish', {channel: 'named:1', data: 1}, 103);
		await l.refused('subscribe', {channel: 'shut:1'}, 103);
		assert.ok((await l.ask('publish', {channel: 'shut:1', data: 1}))
		    .publish);
		await l.ask('subscribe', {channel: 'read:1'});
		await l.refused('publish', {channel: 'read:1', data: 1}, 103);
		await l.refused('publish', {channel: 'open:1'}, 107,
		    'bad request');
		await l.refused('subscribe', {channel: '#alice'}, 103);
		await a.refused('subscribe', {channel: '#alice'}, 105);
		await a.refused('publish', {channel: '#alice', data: 1}, 103);
		await l.refused('subscribe', {channel: 'open:\n'}, 107);
		await l.refused('subscribe', {channel: 'open:' + 'x'.repeat(251)},
		    107);
		assert.ok((await l.ask('subscribe', {channel: 'open:' +
		    'x'.repeat(250)})).subscribe);
		await l.refused('history', {channel: 'read:1'}, 108,
		    'not available');
		await l.refused('presence', {channel: 'read:1'}, 108);
		await l.refused('rpc', {method: 'nothing'}, 108);
		await l.refused('sub_refresh', {channel: 'open:7', token: 'x'},
		    103);
	});

	test('too many channels', async (d) => {
		const l = await Line.connected(d);
		for (let i = 0; i < 4; i++)
			assert.ok((await l.ask('subscribe',
			    {channel: `open:${i}`})).subscribe);
		await l.refused('subscribe', {channel: 'open:4'}, 106,
		    'limit exceeded');
		await l.ask('unsubscribe', {channel: 'open:0'});
		assert.ok((await l.ask('subscribe', {channel: 'open:4'}))
		    .subscribe);
	});

	test('presence', async (d) => {
		const a = await Line.connected(d, '?user=alice');
		const b = await Line.connected(d, '?user=alice');
		const n = await Line.connected(d);
		for (const l of [a, b, n])
			await l.ask('subscribe', {channel: 'open:p'});
		const {presence} = (await a.ask('presence', {channel: 'open:p'}))
		    .presence;
		const [x, y, z] = [a, b, n].map((l) => l.welcome.connect.client);
		assert.deepEqual(presence, {
			[x]: {user: 'alice', client: x},
			[y]: {user: 'alice', client: y},
			[z]: {user: '', client: z}
		});
		assert.deepEqual((await n.ask('presence_stats',
		    {channel: 'open:p'})).presence_stats,
		    {num_clients: 3, num_users: 2});
		a.client.drop();
		await until('one less', async () => (await n.ask('presence_stats',
		    {channel: 'open:p'})).presence_stats.num_clients === 2);
		assert.deepEqual((await n.ask('presence_stats',
		    {channel: 'open:nobody'})).presence_stats,
		    {num_clients: 0, num_users: 0});
	});

	test('joins and leaves', async (d) => {
		const a = await Line.connected(d, '?user=alice');
		await a.ask('subscribe', {channel: 'tell:1'});
		assert.equal((await a.push()).join.info.user, 'alice');
		const b = await Line.connected(d, '?user=bob');
		await b.ask('subscribe', {channel: 'tell:1'});
		const client = b.welcome.connect.client;
		assert.deepEqual(await a.push(), {channel: 'tell:1',
		    join: {info: {user: 'bob', client}}});
		await b.ask('unsubscribe', {channel: 'tell:1'});
		assert.deepEqual(await a.push(), {channel: 'tell:1',
		    leave: {info: {user: 'bob', client}}});
		await b.ask('subscribe', {channel: 'tell:1'});
		await a.push();
		b.client.drop();
		assert.equal((await a.push()).leave.info.client, client);
		await a.ask('publish', {channel: 'tell:1', data: 1});
		assert.equal((await a.push()).pub.offset, 1);
	});
});

group('history', {conf: `
channel "h:*" {
	subscribe all
	publish all
	history 5
	recovery yes
}
channel "*" {
	subscribe all
	publish all
	history 2000
	recovery yes
}
queue 64K
`}, (test) => {
	/* A connection and a channel with n publications. */
	async function filled(d, channel, n) {
		const l = await Line.connected(d);
		const {subscribe} = await l.ask('subscribe', {channel});
		await l.ask('unsubscribe', {channel});
		for (let i = 1; i <= n; i++)
			await l.ask('publish', {channel, data: i});
		return [l, subscribe.epoch];
	}

	const offsets = (reply) => reply.publications.map((p) => p.offset);

	test('pages', async (d) => {
		const [l, epoch] = await filled(d, 'h:1', 8);
		const ask = async (more) => (await l.ask('history',
		    {channel: 'h:1', ...more})).history;
		assert.deepEqual(await ask({}), {publications: [], epoch,
		    offset: 8});
		assert.deepEqual(offsets(await ask({limit: -1})), [4, 5, 6, 7, 8]);
		assert.deepEqual(offsets(await ask({limit: 2})), [4, 5]);
		assert.deepEqual(offsets(await ask({limit: 2, reverse: true})),
		    [8, 7]);
		assert.deepEqual(offsets(await ask({limit: 2,
		    since: {offset: 5, epoch}})), [6, 7]);
		assert.deepEqual(offsets(await ask({limit: 9,
		    since: {offset: 3}})), [4, 5, 6, 7, 8]);
		assert.deepEqual(offsets(await ask({limit: 9,
		    since: {offset: 8, epoch}})), []);
		assert.deepEqual(offsets(await ask({limit: 2, reverse: true,
		    since: {offset: 6, epoch}})), [5, 4]);
		await l.refused('history', {channel: 'h:1', limit: 9,
		    since: {offset: 2, epoch}}, 112, 'unrecoverable position');
		await l.refused('history', {channel: 'h:1', limit: 9,
		    since: {offset: 5, epoch: 'other'}}, 112);
		l.say({id: 99, history: {channel: 'h:1', limit: 'x'}});
		await l.closed(3501);
	});

	test('recovery', async (d) => {
		const [l, epoch] = await filled(d, 'h:2', 8);
		const ask = async (more) => {
			const r = (await l.ask('subscribe', {channel: 'h:2',
			    recover: true, ...more}));
			await l.ask('unsubscribe', {channel: 'h:2'});
			return r.subscribe;
		};
		let r = await ask({offset: 5, epoch});
		assert.deepEqual(offsets(r), [6, 7, 8]);
		assert.equal(r.recovered, true);
		assert.equal(r.was_recovering, true);
		assert.equal(r.offset, 8);
		r = await ask({offset: 8, epoch});
		assert.deepEqual(r, {recoverable: true, epoch, recovered: true,
		    offset: 8, positioned: true, was_recovering: true});
		for (const more of [{offset: 2, epoch}, {offset: 9, epoch},
		    {offset: 6, epoch: 'x'}]) {
			r = await ask(more);
			assert.deepEqual(r, {recoverable: true, epoch, offset: 8,
			    positioned: true, was_recovering: true});
		}
		await l.refused('subscribe', {channel: 'h:2', recover: true,
		    offset: 2, epoch, flag: 2 | 1 | 64}, 112,
		    'unrecoverable position');
		r = await ask({offset: 3, epoch, flag: 3});
		assert.deepEqual(offsets(r), [4, 5, 6, 7, 8]);
	});

	test('at most 1,000 are recovered', async (d) => {
		const [l, epoch] = await filled(d, 'many', 0);
		for (let k = 0; k < 11; k++) {
			l.say(...Array.from({length: 100}, (_, i) => ({id: 5000 + i,
			    publish: {channel: 'many', data: 0}})));
			for (let i = 0; i < 100; i++)
				await l.hear();
		}
		const h = (await l.ask('history', {channel: 'many', limit: -1}))
		    .history;
		assert.ok(h.publications.length < 1000, 'cut to half the queue');
		assert.equal(h.publications[0].offset, 1);
		const r = (await l.ask('subscribe', {channel: 'many',
		    recover: true, offset: 1, epoch})).subscribe;
		assert.ok(!r.recovered && !r.publications);
	});
});

group('messages', {}, (test) => {
	test('by rpc, to who is here, was here, never was', async (d) => {
		const a = await Line.connected(d, '?user=alice');
		await a.refused('rpc', {method: 'message', data: {to: 'bob',
		    data: 1}}, 102, 'unknown channel');
		const b = await Line.connected(d, '?user=bob');
		const {epoch} = b.welcome.connect.subs['#bob'];
		let r = await a.ask('rpc', {method: 'message',
		    data: {to: 'bob', data: {text: 'psst'}}});
		assert.deepEqual(r.rpc.data, {offset: 1, epoch, online: true});
		const push = await b.push();
		assert.equal(push.channel, '#bob');
		assert.deepEqual(push.pub.data, {text: 'psst'});
		assert.equal(push.pub.info.user, 'alice');
		b.client.drop();
		await until('bob gone', async () =>
		    (await d.json('show', 'users')).length === 1);
		r = await a.ask('rpc', {method: 'message', data: {to: 'bob',
		    data: 2}});
		assert.deepEqual(r.rpc.data, {offset: 2, epoch, online: false});
		const again = await Line.connected(d, '?user=bob', {subs:
		    {'#bob': {recover: true, offset: 1, epoch}}});
		const own = again.welcome.connect.subs['#bob'];
		assert.equal(own.recovered, true);
		assert.deepEqual(own.publications.map((p) => p.data), [2]);
		await again.client.quiet();
		await a.refused('rpc', {method: 'message', data: {to: 'bob'}},
		    107);
		await a.refused('rpc', {method: 'message'}, 107);
	});

	test('who', async (d) => {
		const a = await Line.connected(d, '?user=alice');
		await Line.connected(d);
		assert.deepEqual((await a.ask('rpc', {method: 'who'})).rpc.data,
		    {count: 1, users: ['alice']});
	});

	test('chatctl say', async (d) => {
		const a = await Line.connected(d, '?user=alice');
		await a.ask('subscribe', {channel: 'lobby'});
		await d.ctl('say', 'lunch');
		const {pub} = await a.push();
		assert.deepEqual(pub.data, {text: 'lunch'});
		assert.equal(pub.info.user, '*server*');
	});
});
