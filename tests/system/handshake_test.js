/*
 * The way in: requests, refusals and their fields, user names, origins
 * (RFC 9110, 9112, 6455 section 4).
 */
'use strict';

const assert = require('node:assert/strict');
const {group} = require('./suite.js');
const {patience, until} = require('./daemon.js');
const {Client, KEY, OP, frame, request} = require('./client.js');

const ALICE = '/ws?user=alice';

/* Sends bytes; the answer must be that refusal, whole, and then EOF. */
async function refuse(d, bytes, status, check = () => {}) {
	const c = await Client.connect(d.port);
	c.write(bytes);
	const answer = await c.answer();
	const wanted = Array.isArray(status) ? status : [status];
	assert.ok(wanted.includes(answer.status),
	    `${answer.status} instead of ${wanted}: ${answer.body}`);
	assert.equal(answer.fields.connection?.toLowerCase(), 'close');
	assert.match(answer.body, /^[^\r\n]+\r?\n?$/, 'one line of reason');
	check(answer);
	await c.eof();
	return answer;
}

/* Sends bytes; the answer must be 101. */
async function accept(d, bytes) {
	const c = await Client.connect(d.port);
	c.write(bytes);
	await c.opened();
	c.send(OP.PING, 'x');
	await c.expect(OP.PONG, 'x');
	await c.close();
}

/* A request for alice with other lines behind the usual ones. */
function lines(...more) {
	return Buffer.from(request(ALICE).slice(0, -2) +
	    more.map((line) => line + '\r\n').join('') + '\r\n', 'latin1');
}

group('handshake', {conf: 'echo yes\nhost chat.example\n'}, (test) => {
	test('101 with RFC 6455\'s key', (d) => accept(d, request(ALICE)));

	test('101 byte by byte', async (d) => {
		const c = await Client.connect(d.port);
		await c.chop(request(ALICE));
		await c.opened();
		await c.close();
	});

	test('bytes with the request are the first frames', async (d) => {
		const c = await Client.connect(d.port);
		c.write(Buffer.concat([Buffer.from(request('/echo')),
		    frame(OP.TEXT, 'one'), frame(OP.BINARY, 'two'),
		    frame(OP.TEXT, 'three').subarray(0, 7)]));
		await c.opened();
		await c.expect(OP.TEXT, 'one');
		await c.expect(OP.BINARY, 'two');
		await c.close().catch(() => {}); /* within the third: a mess */
	});

	test('many frames with the request, chopped anywhere', async (d) => {
		const all = Buffer.concat([Buffer.from(request('/echo')),
		    ...Array.from({length: 40}, (_, i) =>
			frame(OP.TEXT, `message ${i}`))]);
		for (const size of [1, 7, 191, 200, 4096]) {
			const c = await Client.connect(d.port);
			c.chop(all, size);
			await c.opened();
			for (let i = 0; i < 40; i++)
				await c.expect(OP.TEXT, `message ${i}`);
			await c.close();
		}
	});

	const good = {
		'absolute-form': request('http://localhost' + ALICE),
		'absolute-form, upper case scheme and other Host':
		    request('HTTP://chat.example:80' + ALICE),
		'Upgrade in any case': request(ALICE, {Upgrade: 'WebSocket'}),
		'Connection is a list':
		    request(ALICE, {Connection: 'keep-alive, upgrade'}),
		'Connection in two fields':
		    request(ALICE, {Connection: ['keep-alive', 'Upgrade']}),
		'Upgrade is a list': request(ALICE, {Upgrade: 'h2c, websocket'}),
		'field names in any case': request(ALICE).replace(
		    'Sec-WebSocket-Key', 'sEC-wEBsOCKET-kEY'),
		'no space after the colon': request(ALICE).replaceAll(': ', ':'),
		'tabs and spaces around values': request(ALICE)
		    .replaceAll(': ', ': \t ').replaceAll('\r\n', ' \t\r\n')
		    .replace('HTTP/1.1 \t', 'HTTP/1.1').replace(/ \t\r\n$/, '\r\n'),
		'Content-Length: 0': lines('Content-Length: 0'),
		'other bytes than ASCII in a value': lines('X-Name: \xe4\xf6\xff'),
		'an empty value': lines('X-Empty:'),
		'an extension asked for is not chosen':
		    lines('Sec-WebSocket-Extensions: permessage-deflate; ' +
			'client_max_window_bits, x-y; a="b-c"; d=e'),
		'a subprotocol asked for is not chosen':
		    lines('Sec-WebSocket-Protocol: chat, superchat'),
		'an empty subprotocol': lines('Sec-WebSocket-Protocol:'),
		'a subprotocol list without any': lines('Sec-WebSocket-Protocol: ,'),
		'other parameters around user': request('/ws?a=b&user=alice&c'),
		'a device': request('/ws?user=alice&device=phone')
	};
	for (const [name, bytes] of Object.entries(good))
		test(`101: ${name}`, (d) => accept(d, bytes));

	const bad = {
		'no Host': request(ALICE, {Host: null}),
		'two Hosts': request(ALICE, {Host: ['localhost', 'localhost']}),
		'a Host with a space': request(ALICE, {Host: 'local host'}),
		'absolute-form without Host':
		    request('http://localhost' + ALICE, {Host: null}),
		'no key': request(ALICE, {'Sec-WebSocket-Key': null}),
		'two keys': request(ALICE, {'Sec-WebSocket-Key': [KEY, KEY]}),
		'a key of 15 bytes':
		    request(ALICE, {'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25j'}),
		'a key of 17 bytes':
		    request(ALICE, {'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZTE='}),
		'a key with stray bits':
		    request(ALICE, {'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZR=='}),
		'a key without padding':
		    request(ALICE, {'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ'}),
		'a key with base64url':
		    request(ALICE, {'Sec-WebSocket-Key': '_-hlIHNhbXBsZSBub25jZQ=='}),
		'an empty key': request(ALICE, {'Sec-WebSocket-Key': ''}),
		'no version': request(ALICE, {'Sec-WebSocket-Version': null}),
		'two versions':
		    request(ALICE, {'Sec-WebSocket-Version': ['13', '13']}),
		'space before a colon': lines('X-A : b'),
		'a folded line': lines('X-A: b', ' c'),
		'a folded line first': request(ALICE).replace('Host', ' Host'),
		'a bare CR in a value': lines('X-A: b\rc'),
		'a bare CR in the request line':
		    request('/ws?user=al\rice'),
		'NUL in a value': lines('X-A: b\0c'),
		'NUL in the target': request('/ws?user=al\0ice'),
		'a control character in a value': lines('X-A: b\x01c'),
		'DEL in a value': lines('X-A: b\x7fc'),
		'a field without a colon': lines('X-A'),
		'a field without a name': lines(': b'),
		'a field name that is no token': lines('X(A): b'),
		'a byte of 128 in a field name': lines('X-\xe4: b'),
		'Sec-WebSocket-Extensions with an empty parameter':
		    lines('Sec-WebSocket-Extensions: permessage-deflate;'),
		'Sec-WebSocket-Extensions with no name':
		    lines('Sec-WebSocket-Extensions: ; a=b'),
		'Sec-WebSocket-Extensions with no value':
		    lines('Sec-WebSocket-Extensions: x; a='),
		'Sec-WebSocket-Extensions with an open quote':
		    lines('Sec-WebSocket-Extensions: x; a="b'),
		'Sec-WebSocket-Extensions with a quoted space':
		    lines('Sec-WebSocket-Extensions: x; a="b c"'),
		'Content-Length: 5': lines('Content-Length: 5'),
		'Content-Length: -1': lines('Content-Length: -1'),
		'Content-Length: +0': lines('Content-Length: +0'),
		'Content-Length: 0x0': lines('Content-Length: 0x0'),
		'an empty Content-Length': lines('Content-Length:'),
		'Content-Length: 0, 0': lines('Content-Length: 0, 0'),
		'Content-Length twice':
		    lines('Content-Length: 0', 'Content-Length: 0'),
		'a huge Content-Length':
		    lines('Content-Length: 18446744073709551616'),
		'Transfer-Encoding: chunked': lines('Transfer-Encoding: chunked'),
		'Transfer-Encoding: identity':
		    lines('Transfer-Encoding: identity'),
		'an empty Transfer-Encoding': lines('Transfer-Encoding:'),
		'two spaces in the request line':
		    request(ALICE).replace('GET ', 'GET  '),
		'a request line without a version':
		    request(ALICE).replace(' HTTP/1.1', ''),
		'a method that is no token': request(ALICE, {}, 'G(T'),
		'a space in the target': request('/ws?user=a b'),
		'a fragment in the target': request(ALICE + '#x'),
		'a byte of 128 in the target':
		    Buffer.from(request('/ws?user=\xe4'), 'latin1'),
		'a relative target': request('ws?user=alice'),
		'something else than HTTP': '\x16\x03\x01\x02\0\x01\0\r\n\r\n'
	};
	for (const [name, bytes] of Object.entries(bad))
		test(`400: ${name}`, (d) => refuse(d, bytes, 400));

	test('505: an upgrade by HTTP/1.0 says what is to be done', async (d) =>
	    assert.match((await refuse(d, request(ALICE, {}, 'GET', 'HTTP/1.0'),
		505)).body, /needs HTTP\/1\.1/));
	for (const version of ['HTTP/1.2', 'HTTP/2.0', 'HTTP/0.9'])
		test(`505: ${version}`, (d) =>
		    refuse(d, request(ALICE, {}, 'GET', version), 505));
	for (const version of ['HTTP/1', 'HTTP/1.10', 'http/1.1', 'HTCPCP/1.0'])
		test(`400 or 505: ${version}`, (d) =>
		    refuse(d, request(ALICE, {}, 'GET', version), [400, 505]));

	/* Path before method, method before upgrade. */
	const plain = {Upgrade: null, Connection: null,
	    'Sec-WebSocket-Key': null, 'Sec-WebSocket-Version': null};
	for (const path of ['/nope', '/ws/', '/WS?user=a', '/wsx', '/ws/../ws'])
		test(`404: ${path}`, (d) => refuse(d, request(path), 404));
	test('404 before 405', (d) =>
	    refuse(d, request('/nope', plain, 'POST'), 404));
	test('404 before 426', (d) => refuse(d, request('/nope', plain), 404));
	for (const method of ['POST', 'get', 'PUT', 'TRACE', 'X!'])
		test(`405: ${method} with Allow`, async (d) => {
			for (const path of [ALICE, '/health', '/', '/chatd.js'])
				await refuse(d, request(path, plain, method), 405, (a) => {
					assert.equal(a.fields.allow,
					    'GET, HEAD, OPTIONS');
					assert.match(a.body,
					    /GET, HEAD and OPTIONS/);
				});
		});
	/* What comes for a request, head and body. */
	const whole = async (d, bytes, body) => {
		const c = await Client.connect(d.port);
		c.write(bytes);
		const answer = await c.head();
		answer.body = '';
		if (body) {
			const length = Number(answer.fields['content-length']);
			await c.wait('body', () => c.have >= length);
			answer.body = c.take(length).toString();
		}
		await c.eof(); /* so nothing comes after it */
		return answer;
	};
	const HEADS = ['/health', '/', '/chatd.css', '/chatd.js', '/nope', ALICE,
	    '/connection/websocket', '/echo'];
	for (const path of HEADS)
		test(`HEAD ${path} is GET without a body`, async (d) => {
			for (const version of ['HTTP/1.1', 'HTTP/1.0']) {
				const get = await whole(d,
				    request(path, plain, 'GET', version), true);
				const head = await whole(d,
				    request(path, plain, 'HEAD', version), false);
				assert.equal(head.raw, get.raw);
				assert.ok(get.body.length > 0);
			}
		});
	test('HEAD of what has not changed is 304', async (d) => {
		const {fields} = await whole(d, request('/', plain, 'HEAD'));
		const again = await whole(d, request('/', {...plain,
		    'If-None-Match': fields.etag}, 'HEAD'));
		assert.equal(again.status, 304);
	});
	test('HEAD does not upgrade', async (d) => assert.equal(
	    (await whole(d, request(ALICE, {}, 'HEAD'))).status, 426));
	test('OPTIONS says what may be asked for', async (d) => {
		for (const version of ['HTTP/1.1', 'HTTP/1.0'])
			for (const path of ['*', '/health', '/', ALICE, '/echo']) {
				const answer = await whole(d,
				    request(path, plain, 'OPTIONS', version));
				assert.equal(answer.status, 204, path);
				assert.equal(answer.fields.allow,
				    'GET, HEAD, OPTIONS');
				assert.ok(!('content-length' in answer.fields));
			}
		await refuse(d, request('/nope', plain, 'OPTIONS'), 404);
	});
	test('HTTP/1.0, with and without Host', async (d) => {
		for (const fields of [plain, {...plain, Host: null},
		    {...plain, Host: null, Connection: 'keep-alive'}])
			for (const path of ['/health', '/', '/chatd.js']) {
				const answer = await whole(d,
				    request(path, fields, 'GET', 'HTTP/1.0'), true);
				assert.equal(answer.status, 200);
				assert.equal(answer.fields.connection, 'close');
			}
		await refuse(d, request('/health', {...plain, Host: ['a', 'a']},
		    'GET', 'HTTP/1.0'), 400);
		await refuse(d, request('/health', {...plain,
		    'Transfer-Encoding': 'chunked'}, 'GET', 'HTTP/1.0'), 400);
	});
	test('426 without an upgrade', (d) =>
	    refuse(d, request(ALICE, plain), 426, (a) =>
		assert.equal(a.fields.upgrade?.toLowerCase(), 'websocket')));
	test('426 with Upgrade alone', (d) =>
	    refuse(d, request(ALICE, {Connection: null}), 426));
	test('426 with Connection alone', (d) =>
	    refuse(d, request(ALICE, {Upgrade: null}), 426));
	test('426 with another upgrade', (d) =>
	    refuse(d, request(ALICE, {Upgrade: 'h2c'}), 426));
	for (const version of ['8', '12', '14', '0'])
		test(`426: version ${version}`, (d) =>
		    refuse(d, request(ALICE, {'Sec-WebSocket-Version': version}),
			426, (a) => assert.equal(
			    a.fields['sec-websocket-version'], '13')));
	test('400 or 426: a version that is no number', (d) =>
	    refuse(d, request(ALICE, {'Sec-WebSocket-Version': 'x'}),
		[400, 426]));

	/* Subprotocols: who offers what at which door, and what is chosen. */
	const PROTOCOLS = [
		[ALICE, ['chatd.plain'], 'chatd.plain'],
		[ALICE, ['a, chatd.plain ,b'], 'chatd.plain'],
		[ALICE, ['a', 'b,chatd.plain'], 'chatd.plain'],
		[ALICE, ['Chatd.Plain, chatd.plain.2, centrifuge-json'], undefined],
		['/echo', ['chatd.plain'], undefined],
		['/connection/websocket', ['foo', 'centrifuge-json'],
		    'centrifuge-json'],
		['/connection/websocket', ['centrifuge-protobuf',
		    'centrifuge-json'], 'centrifuge-json'],
		['/connection/websocket', ['', 'chatd.plain'], undefined]
	];
	for (const [path, offer, wanted] of PROTOCOLS)
		test(`101: ${path} offered ${JSON.stringify(offer)}`, async (d) => {
			const c = await Client.connect(d.port);
			c.write(request(path, {'Sec-WebSocket-Protocol': offer}));
			const answer = await c.head();
			assert.equal(answer.status, 101);
			assert.equal(answer.fields['sec-websocket-protocol'], wanted);
			c.drop();
		});
	test('400: protobuf alone, in several fields', (d) =>
	    refuse(d, request('/connection/websocket', {
		'Sec-WebSocket-Protocol': ['foo', 'centrifuge-protobuf']}), 400));

	/* 16 KiB and 128 fields. */
	const filled = (size) => {
		const base = lines('X-Fill: ').length;
		return lines('X-Fill: ' + 'x'.repeat(size - base));
	};
	test('101: a head of 16,383 bytes', (d) => accept(d, filled(16383)));
	test('101: a head of 16,384 bytes', (d) => accept(d, filled(16384)));
	test('431: a head of 16,385 bytes', (d) => refuse(d, filled(16385), 431));
	test('431: a target that never ends', (d) =>
	    refuse(d, 'GET /' + 'x'.repeat(16384), 431));
	test('431: more than a socket takes at once', async (d) => {
		const c = await Client.connect(d.port);
		c.write('GET /' + 'x'.repeat(1 << 20));
		const answer = await c.answer();
		assert.equal(answer.status, 431);
		await c.wait('', () => c.ended).catch(() => {});
	});
	const many = (n) => lines(...Array.from({length: n - 5}, (_, i) =>
	    `X-${i}: y`));
	test('101: 128 fields', (d) => accept(d, many(128)));
	test('431: 129 fields', (d) => refuse(d, many(129), 431));
	test('431: 129 fields of one byte each', (d) => refuse(d,
	    lines(...Array.from({length: 125}, () => 'x:')), 431));

	test('GET /health', async (d) => {
		for (const target of ['/health', '/health?x=y',
		    'http://localhost/health']) {
			const c = await Client.connect(d.port);
			c.write(request(target, plain));
			const answer = await c.answer();
			assert.equal(answer.status, 200);
			assert.equal(answer.body.trim(), 'ok');
			c.drop();
		}
	});
	test('GET / is a short page', async (d) => {
		const c = await Client.connect(d.port);
		c.write(request('/', plain));
		const answer = await c.answer();
		assert.equal(answer.status, 200);
		assert.match(answer.fields['content-type'], /^text\/html\b/);
		assert.match(answer.body, /chatd/);
		c.drop();
	});

	test('a client that leaves in the middle of its request', async (d) => {
		for (const n of [0, 1, 30, request(ALICE).length - 1]) {
			const c = await Client.connect(d.port);
			await c.write(request(ALICE).slice(0, n));
			c.drop();
		}
	});
});

group('no echo', {}, (test) => {
	test('404: /echo is off by default', (d) =>
	    refuse(d, request('/echo'), 404));
});

/* Names as they stand in the query. */
const NAMES = {
	good: ['a', 'Alice', '%41lice', 'a+b', 'a%20b', '%c3%a4', '%E2%82%AC',
	    'x'.repeat(64), '%61'.repeat(64), '%f0%9f%98%80', 'a%2Fb', 'a%23',
	    'a@b', 'a*', 'a%26b', 'a%3db', "a'b", '%5bops%5d%20boss', 'a%2cb',
	    '%F0%9F%91%A9%E2%80%8D%F0%9F%92%BB', '%E1%BA%B7', 'a%25', '-', '1',
	    'a|b', '[b]', '{b}', 'a^b', '`', 'a\\b', '\u00e9', '\u20ac\u{1f600}'],
	bad: ['', '%zz', '%4', '%', '%ff', '%c3', '%c0%80', '%ed%a0%80',
	    '%f4%90%80%80', '%00', 'a%00', '%1f', 'a%0a', '%7f', '%c2%80',
	    '%c2%9f', '%c2%a0', 'a%c2%a0b', 'a%e2%80%8b', '%e2%80%aebob',
	    'a%cc%88', '%ee%80%80', '%cd%b8', 'a%e2%80%8db', '%22', 'a%22b',
	    '%20', '%20a', 'a%20', '%23a', '%40a', '@a', '/a',
	    '%2Fa', '*a', '%2a', 'x'.repeat(65),
	    '%c3%a4'.repeat(32) + 'x', '%c3%a4'.repeat(33)]
};

group('names', {workers: 2}, (test) => {
	for (const name of NAMES.good)
		test(`101: user=${name.slice(0, 24)}`, async (d) => {
			const c = await Client.connect(d.port);
			c.write(Buffer.from(request('/ws?user=' + name)));
			await c.opened();
			const users = await d.json('show', 'users');
			assert.deepEqual(users.map((u) => u.user),
			    [decodeURIComponent(name)]);
			await c.close();
		});
	for (const name of NAMES.bad)
		test(`400: user=${name.slice(0, 24)}`, (d) =>
		    refuse(d, request('/ws?user=' + name), 400));
	for (const target of ['/ws', '/ws?', '/ws?users=alice', '/ws?User=alice',
	    '/ws?user'])
		test(`400: ${target}`, (d) => refuse(d, request(target), 400));
	test('the device is shown', async (d) => {
		const c = await Client.open(d.port,
		    '/ws?user=alice&device=my%20phone');
		const [seen] = await d.json('show', 'connections');
		assert.equal(seen.user, 'alice');
		assert.equal(seen.device, 'my phone');
		await c.close();
	});
});

group('origin', {workers: 1,
    conf: 'host chat.example evil.example\n'}, (test) => {
	const from = (origin, host = 'chat.example:8080') =>
	    request(ALICE, {Host: host, Origin: origin});
	const good = [['http://chat.example:8080'], ['http://CHAT.example:8080'],
	    ['http://chat.example', 'chat.example'],
	    ['https://chat.example', 'chat.example'],
	    ['http://chat.example:80', 'chat.example'],
	    ['http://[::1]:8080', '[::1]:8080']];
	for (const [origin, host] of good)
		test(`101: ${origin} for ${host ?? 'chat.example:8080'}`, (d) =>
		    accept(d, from(origin, host)));
	const bad = ['http://evil.example', 'http://chat.example:8081',
	    'http://chat.example', 'null', 'http://chat.example:8080.evil',
	    'http://xchat.example:8080', 'chat.example:8080'];
	for (const origin of bad)
		test(`403: ${origin}`, (d) => refuse(d, from(origin), 403));
	test('403: an origin for the host of an absolute target', (d) =>
	    refuse(d, request('http://chat.example' + ALICE,
		{Host: 'evil.example', Origin: 'http://evil.example'}), 403));
});

group('origin list', {workers: 1, conf: 'origin "https://x.example"\n' +
    'origin "HTTPS://*.Y.example:443"\n'}, (test) => {
	test('101: one that is listed', (d) => accept(d,
	    request(ALICE, {Origin: 'https://x.example'})));
	for (const origin of ['https://a.y.example', 'https://a.b.y.example',
	    'https://x.example:443'])
		test(`101: ${origin}`, (d) => accept(d,
		    request(ALICE, {Origin: origin})));
	for (const origin of ['http://x.example', 'https://y.example',
	    'https://a.y.example:444', 'https://a.y.example.evil',
	    'https://x.example:444', 'http://localhost'])
		test(`403: ${origin}`, (d) =>
		    refuse(d, request(ALICE, {Origin: origin}), 403));
});

group('slow', {conf: 'handshake-timeout 1s\n', workers: 2}, (test) => {
	test('408 when the request does not end in time', async (d) => {
		for (const part of ['G', '\r\n', request(ALICE).slice(0, -2)]) {
			const begin = Date.now();
			await refuse(d, part, 408);
			const ms = Date.now() - begin;
			assert.ok(ms >= 900 && ms < 3000 * patience(), `after ${ms} ms`);
		}
	});
	test('nothing for one that sends nothing, but its end', async (d) => {
		const begin = Date.now();
		const c = await Client.connect(d.port);
		await c.eof(4000);
		const ms = Date.now() - begin;
		assert.ok(ms >= 900 && ms < 3000 * patience(), `after ${ms} ms`);
	});
	test('408 for one that sends a byte now and then', async (d) => {
		const c = await Client.connect(d.port);
		const timer = setInterval(() => c.write('x'), 100);
		try {
			const answer = await c.answer(4000);
			assert.equal(answer.status, 408);
		} finally {
			clearInterval(timer);
		}
	});
	test('no 408 after the upgrade', async (d) => {
		const c = await Client.open(d.port, ALICE);
		await refuse(d, 'G', 408);
		await refuse(d, 'G', 408);
		await c.quiet();
		await c.close();
	});
});

group('full', {conf: 'connections 16\n', workers: 2}, (test) => {
	test('503 with Retry-After when the slots are full', async (d) => {
		const all = [];
		for (let i = 0; i < 16; i++)
			all.push(await Client.user(d.port, `u${i}`));
		await refuse(d, request('/ws?user=more'), 503, (a) =>
		    assert.match(a.fields['retry-after'], /^[1-9]\d*$/));
		await all.pop().close();
		/* The place is free a moment after the client knows. */
		await until('a place', () => Client.user(d.port, 'more')
		    .then((c) => c.close().then(() => true), () => false));
		for (const one of all)
			await one.close();
	});
});

group('full of users', {conf: 'users 16\n', workers: 2}, (test) => {
	test('503 with Retry-After when there are too many', async (d) => {
		const all = [];
		for (let i = 0; i < 16; i++)
			all.push(await Client.user(d.port, `u${i}`));
		await refuse(d, request('/ws?user=more'), 503, (a) =>
		    assert.match(a.fields['retry-after'], /^[1-9]\d*$/));
		all.push(await Client.user(d.port, 'u3', 'tablet'));
		await all.shift().close();
		all.push(await until('a place', () =>
		    Client.user(d.port, 'more').catch(() => null)));
		for (const one of all)
			await one.close();
	});
});
