/*
 * What requests and tokens ask for that is not done here: refused, never half
 * carried out; passed over and counted if nobody defines it; and data that is
 * no JSON, or nested too deep, which costs an error and not the connection.
 */
'use strict';

const assert = require('node:assert/strict');
const {group} = require('./suite.js');
const {Line, TOKENS, event, now, sdk, sdkLeave, token} =
    require('./centrifugo.js');

group('members', {conf: 'api-key "k"\n'}, (test) => {
	const refused = [
		['subscribe', {tf: {op: '', key: 'a', cmp: 'eq', val: 'b'}}, 107],
		['subscribe', {type: 1}, 108], ['subscribe', {type: 4}, 108],
		['subscribe', {phase: 2}, 108], ['subscribe', {cursor: 'x'}, 108],
		['subscribe', {limit: 5}, 108], ['subscribe', {asc: true}, 108],
		['publish', {type: 1}, 108], ['publish', {key: 'x'}, 108],
		['publish', {removed: true}, 108],
		['sub_refresh', {token: 'x', type: 1}, 108],
		['sub_refresh', {token: 'x', track: [{}]}, 108],
		['sub_refresh', {token: 'x', untrack: ['x']}, 108]
	];
	for (const [name, more, code] of refused)
		test(`${name} ${JSON.stringify(more)}: ${code}`, async (d) => {
			const l = await Line.connected(d, '?user=alice');
			if (name === 'publish')
				await l.ask('subscribe', {channel: 'room'});
			await l.refused(name, {channel: 'room', data: 1, ...more},
			    code);
			/* nothing was done of it */
			if (name === 'subscribe')
				await l.refused('publish', {channel: 'room',
				    data: 1}, 103);
			await l.client.quiet();
		});

	test('what is meant without a member may be said', async (d) => {
		const l = await Line.connected(d, '?user=alice');
		assert.ok((await l.ask('subscribe', {channel: 'room', tf: null,
		    type: 0, phase: 0, cursor: '', limit: 0, asc: false}))
		    .subscribe);
		assert.ok((await l.ask('publish', {channel: 'room', data: 1,
		    type: 0, key: '', removed: false})).publish);
	});

	test('delta is an offer: publications come whole', async (d) => {
		const l = await Line.connected(d, '?user=alice');
		const {subscribe} = await l.ask('subscribe', {channel: 'room',
		    delta: 'fossil'});
		assert.equal(subscribe.delta, undefined);
		await l.ask('publish', {channel: 'room', data: {a: 1}});
		assert.deepEqual((await l.push()).pub.data, {a: 1});
	});

	test('in connect\'s subs, too', async (d) => {
		const l = await Line.open(d, '?user=alice');
		await l.refused('connect', {subs: {'#alice': {type: 1}}}, 108);
	});

	test('what nobody defines is counted, and logged once', async (d) => {
		const count = async () => (await d.json('show', 'stats'))
		    .unknown_members;
		const before = await count();
		for (let i = 0; i < 8; i++) { /* on all workers */
			const l = await Line.connected(d, '?user=alice',
			    {sdk_hint: i});
			await l.say(`{"id":50,"later\\u0021":[{}],"ping":{}}`);
			assert.equal(await l.raw(), '{"id":50,"ping":{}}');
		}
		assert.equal(await count() - before, 16);
		const lines = (pattern) => d.stderr.split('\n')
		    .filter((line) => pattern.test(line)).length;
		await d.logged(/member "sdk_hint" of connect/);
		await d.logged(/member .*later.* of a command/);
		assert.equal(lines(/sdk_hint/), 1);
		assert.equal(lines(/later/), 1);
	});

	test('the log has a bound', async (d) => {
		const l = await Line.connected(d, '?user=alice');
		for (let i = 0; i < 100; i++)
			await l.say(`{"id":${i + 10},"x${i}y":1,"ping":{}}`);
		for (let i = 0; i < 100; i++)
			await l.raw();
		await d.logged(/member "x\d+y"/);
		const n = d.stderr.split('\n').filter((line) =>
		    /member "x\d+y"/.test(line)).length;
		assert.ok(n > 0 && n <= 32, `${n} lines`);
	});

	test('map and shared poll subscriptions of the SDK', async (d) => {
		const c = sdk(d, '?user=alice');
		await event(c, 'connected');
		for (const kind of ['newMapSubscription',
		    'newSharedPollSubscription']) {
			if (!c[kind])
				continue;
			const sub = c[kind](kind);
			const failed = new Promise((resolve) => {
				sub.on('error', (e) => resolve(e.error.code));
				sub.on('unsubscribed', (e) => resolve(e.code));
			});
			sub.subscribe();
			assert.equal(await failed, 108);
			sub.unsubscribe();
		}
		sdkLeave();
	});
});

group('claims', {conf: TOKENS}, (test) => {
	const bad = {
		subs: {subs: {x: {}}}, 'channels that is a text': {channels: 'x'},
		'channels that is an object': {channels: {x: 1}},
		b64info: {b64info: 'e30='}, caps: {caps: [{channels: ['x']}]},
		'expire_at that is a text': {expire_at: 'x'}
	};
	for (const [name, claims] of Object.entries(bad))
		test(`${name}: 3500`, async (d) => {
			const l = await Line.open(d);
			l.say({id: 1, connect: {token:
			    token({sub: 'alice', ...claims})}});
			await l.closed(3500, 'invalid token');
			await d.logged(new RegExp('refused: its claim `' +
			    Object.keys(claims)[0]));
		});

	for (const claims of [{subs: {}}, {subs: null}, {channels: []},
	    {channels: null}, {meta: {a: 1}, jti: 'x', own: {deep: 1}}])
		test(`${JSON.stringify(claims)} is fine`, async (d) => {
			const l = await Line.connected(d, '', {token:
			    token({sub: 'alice', ...claims})});
			assert.deepEqual(Object.keys(l.welcome.connect.subs),
			    ['#alice']);
			assert.equal((await d.json('show', 'stats'))
			    .unknown_members, 0);
		});

	test('refresh with such a token: 3500', async (d) => {
		const l = await Line.connected(d, '', {token:
		    token({sub: 'alice', exp: now() + 60})});
		l.say({id: 2, refresh: {token: token({sub: 'alice',
		    subs: {x: {}}})}});
		await l.closed(3500);
	});

	test('expire_at is the end, exp the token\'s alone', async (d) => {
		const ttl = async (claims) => (await Line.connected(d, '', {token:
		    token({sub: 'alice', ...claims})})).welcome.connect.ttl;
		assert.equal(await ttl({exp: now() + 60, expire_at: 0}),
		    undefined);
		const long = await ttl({exp: now() + 60, expire_at: now() + 600});
		assert.ok(long > 590 && long <= 600, `${long}`);
		const some = await ttl({expire_at: now() + 300});
		assert.ok(some > 290 && some <= 300, `${some}`);
	});

	for (const claims of [{override: {presence: {value: true}}},
	    {data: {a: 1}}, {b64info: 'e30='}, {client: 'x'}])
		test(`subscribe with ${JSON.stringify(claims)}: 103`,
		    async (d) => {
			const l = await Line.connected(d, '', {token:
			    token({sub: 'alice'})});
			const good = {sub: 'alice', channel: 'r'};
			await l.refused('subscribe', {channel: 'r',
			    token: token({...good, ...claims})}, 103);
			assert.ok((await l.ask('subscribe', {channel: 'r',
			    token: token({...good, own: 1})})).subscribe);
		});
});

/* JSON of n arrays within each other. */
const nested = (n) => '['.repeat(n) + ']'.repeat(n);

group('odd data', {}, (test) => {
	test('the depth is told, and holds', async (d) => {
		const l = await Line.connected(d, '?user=alice');
		const {depth} = l.welcome.connect.data.limits;
		await l.ask('subscribe', {channel: 'room'});
		/* the command and its request count */
		l.say(`{"id":9,"publish":{"channel":"room","data":${
		    nested(depth - 2)}}}`);
		assert.equal(await l.raw(), '{"id":9,"publish":{}}');
		assert.ok((await l.push()).pub);
		for (const n of [depth - 1, depth + 100, 20000]) {
			l.say(`{"id":10,"publish":{"channel":"room","data":${
			    nested(n)}}}`);
			assert.deepEqual(await l.hear(), {id: 10, error:
			    {code: 107, message: 'bad request'}});
		}
		assert.ok((await l.ask('publish', {channel: 'room', data: 1}))
		    .publish);
	});

	const odd = {
		'a tab': '"a\tb"', 'a break': '"a\nb"', 'breaks': '"\n\n{\n}"',
		'a NUL': '"a\0b"', 'a bad escape': '"\\x"', 'no value': '',
		'a leading zero': '01', 'a word': 'NaN', 'quotes': "'x'",
		'brackets that do not match': '[}', 'a comma too many': '[1,]',
		'a bad name': '{a:1}', 'a comment': '/* x */ 1',
		'a half surrogate escape': '"\\ud8"'
	};
	for (const [name, data] of Object.entries(odd))
		test(`${name}: 107`, async (d) => {
			const l = await Line.connected(d, '?user=alice');
			await l.ask('subscribe', {channel: 'room'});
			/* the id before and behind it, others in one frame */
			l.say(`{"id":7,"publish":{"channel":"room","data":${
			    data}}}`, {id: 8, ping: {}},
			    `{"publish":{"data":${data}},"id":9} `,
			    {id: 10, ping: {}});
			assert.equal((await l.hear()).error?.code, 107);
			assert.equal((await l.hear()).id, 8);
			assert.deepEqual(await l.hear(), {id: 9, error:
			    {code: 107, message: 'bad request'}});
			assert.equal((await l.hear()).id, 10);
			await l.client.quiet(); /* nothing was published */
		});

	for (const [name, request] of [['connect', {data: 0}], ['subscribe',
	    {channel: 'x', data: 0}], ['rpc', {method: 'message', data: 0}],
	    ['history', {channel: 'x', since: 0}]])
		test(`deep in ${name}: 107`, async (d) => {
			const l = name === 'connect' ?
			    await Line.open(d, '?user=alice') :
			    await Line.connected(d, '?user=alice');
			l.say(JSON.stringify({id: 70, [name]: request})
			    .replace(':0', ':' + nested(100)));
			assert.equal((await l.hear()).error.code, 107);
			assert.ok(name !== 'connect' ||
			    (await l.ask('connect')).connect);
		});

	const end = {
		'no id': `{"publish":{"channel":"room","data":${nested(99)}}}`,
		'an id that is none': '{"id":1.0,"ping":{"x":01}}',
		'no command': '{"id":7,"x":01}',
		'no end': `{"id":7,"publish":{"data":"a`,
		'something behind it': '{"id":7,"ping":{"x":01}} x',
		'an array': '[01]',
		'a second connect': '{"id":7,"connect":{"x":01}}'
	};
	for (const [name, line] of Object.entries(end))
		test(`${name}: 3501`, async (d) => {
			const l = await Line.connected(d, '?user=alice');
			l.say(line);
			await l.closed(3501, 'bad request');
		});

	test('before connect: 3501', async (d) => {
		const l = await Line.open(d, '?user=alice');
		l.say('{"id":7,"ping":{"x":01}}');
		await l.closed(3501);
	});
});

group('odd and too often', {conf: 'message-rate 5/s burst 5\n'}, (test) => {
	test('it counts as a command', async (d) => {
		const l = await Line.connected(d, '?user=alice');
		const codes = [];
		for (let i = 0; i < 6; i++)
			l.say('{"id":7,"ping":{"x":01}}');
		for (let i = 0; i < 6; i++)
			codes.push((await l.hear()).error.code);
		assert.ok(codes.includes(107) && codes.includes(111),
		    codes.join());
	});
});

