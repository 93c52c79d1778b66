/* The server API: publish and history with a key, judged as HTTP too. */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const {group} = require('./suite.js');
const {run, until} = require('./daemon.js');
const {Client, request} = require('./client.js');
const {Line} = require('./centrifugo.js');

const KEY = 'k e y';

/* POST with a body; {status, fields, body}. */
async function post(d, path, body, fields = {'X-API-Key': KEY}, more = '') {
	const c = await Client.connect(d.port);
	const text = typeof body === 'string' ? body : JSON.stringify(body);
	const all = {Host: 'localhost',
	    'Content-Length': Buffer.byteLength(text), ...fields};
	c.write(`POST ${path} HTTP/1.1\r\n` + Object.entries(all)
	    .filter(([, v]) => v !== null).map(([n, v]) => `${n}: ${v}\r\n`)
	    .join('') + '\r\n' + text + more);
	const answer = await c.answer();
	c.drop();
	return answer;
}

/* The JSON of a 200. */
async function ask(d, method, body) {
	const answer = await post(d, '/api/' + method, body);
	assert.equal(answer.status, 200, answer.body);
	assert.equal(answer.fields['content-type'], 'application/json');
	return JSON.parse(answer.body);
}

group('api', {conf: `api-key "${KEY}"\n` + `
channel "h:*" {
	subscribe all
	history 10
	recovery yes
}
channel "n:*" {
	subscribe all
}
`}, (test) => {
	test('publish and history', async (d) => {
		const l = await Line.connected(d);
		await l.ask('subscribe', {channel: 'h:1'});
		const {result} = await ask(d, 'publish', {channel: 'h:1',
		    data: {a: 1}, tags: {k: 'v'}, more: 1});
		assert.deepEqual(result, {offset: 1, epoch: result.epoch});
		const {pub} = await l.push();
		assert.deepEqual(pub, {data: {a: 1}, offset: 1,
		    tags: {k: 'v'}, time: pub.time});
		await ask(d, 'publish', '{"channel":"h:1","data":[1,\n\t2]}');
		assert.deepEqual((await l.push()).pub.data, [1, 2]);
		const history = (await ask(d, 'history', {channel: 'h:1',
		    limit: 1, reverse: true})).result;
		assert.deepEqual(history.publications.map((p) => p.offset), [2]);
		assert.equal(history.offset, 2);
		assert.deepEqual(await ask(d, 'history', {channel: 'h:1'}),
		    {result: {publications: [], epoch: result.epoch, offset: 2}});
		assert.deepEqual(await ask(d, 'publish', {channel: 'n:1',
		    data: null}), {result: {}});
	});

	test('to a user', async (d) => {
		const c = await Client.user(d.port, 'alice');
		await ask(d, 'publish', {channel: '#alice', data: {text: 'hi'}});
		assert.equal(await c.heard(), '*server* whispers: hi');
	});

	const errors = [
		['publish', {data: 1}, 107], ['publish', {channel: 'h:1'}, 107],
		['publish', {channel: 5, data: 1}, 107],
		['publish', {channel: 'h:1', data: 1, tags: {a: 1}}, 107],
		['publish', {channel: 'h:1', data: 1, tags: []}, 107],
		['publish', {channel: 'x', data: 1}, 102],
		['history', {channel: 'x'}, 102], ['history', {}, 107],
		['history', {channel: 'n:1'}, 108],
		['history', {channel: 'h:1', limit: 'x'}, 107],
		['history', {channel: 'h:1', limit: 1,
		    since: {offset: 0, epoch: 'x'}}, 112]
	];
	for (const [method, body, code] of errors)
		test(`${method} ${JSON.stringify(body)}: ${code}`, async (d) =>
		    assert.equal((await ask(d, method, body)).error.code, code));

	const good = {channel: 'h:2', data: 1};
	const statuses = [
		['no key', '/api/publish', good, {}, 401],
		['a wrong key', '/api/publish', good, {'X-API-Key': 'k'}, 401],
		['a longer key', '/api/publish', good, {'X-API-Key': KEY + 'x'},
		    401],
		['another scheme', '/api/publish', good,
		    {Authorization: 'Bearer ' + KEY}, 401],
		['the other field', '/api/publish', good,
		    {Authorization: 'APIkey ' + KEY}, 200],
		['several blanks before the key', '/api/publish', good,
		    {Authorization: 'apikey   ' + KEY}, 200],
		['no JSON', '/api/publish', 'x', undefined, 400],
		['an array', '/api/publish', '[]', undefined, 400],
		['an empty body', '/api/publish', '', undefined, 400],
		['no length', '/api/publish', '', {'X-API-Key': KEY,
		    'Content-Length': null}, 411],
		['chunks beside a length', '/api/publish', '', {
		    'X-API-Key': KEY, 'Transfer-Encoding': 'chunked'}, 400],
		['another transfer coding', '/api/publish', '', {
		    'X-API-Key': KEY, 'Content-Length': null,
		    'Transfer-Encoding': 'gzip, chunked'}, 501],
		['a packed body', '/api/publish', good, {'X-API-Key': KEY,
		    'Content-Encoding': 'gzip'}, 415],
		['a body as it is', '/api/publish', good, {'X-API-Key': KEY,
		    'Content-Encoding': 'identity'}, 200],
		['a body elsewhere', '/health', 'x', {}, 400],
		['no method of the API', '/api/infos', good, undefined, 404],
		['a malformed length', '/api/publish', '', {'X-API-Key': KEY,
		    'Content-Length': '+1'}, 400],
		['a body that is too long', '/api/publish', '', {'X-API-Key': KEY,
		    'Content-Length': '99999999999999999999'}, 413]
	];
	for (const [name, path, body, fields, status] of statuses)
		test(`${name}: ${status}`, async (d) => assert.equal(
		    (await post(d, path, body, fields)).status, status));

	test('methods that are missing are answered in JSON', async (d) => {
		for (const method of ['broadcast', 'subscribe', 'unsubscribe',
		    'disconnect', 'refresh', 'presence', 'presence_stats',
		    'history_remove', 'channels', 'info', 'rpc', 'batch',
		    'connections', 'block_user', 'map_publish'])
			assert.deepEqual(await ask(d, method, {}),
			    {error: {code: 108, message: 'not available'}});
	});

	const refused = {skip_history: true, idempotency_key: 'x', delta: true,
	    version: 1, version_epoch: 'x', b64data: 'eA=='};
	for (const [name, value] of Object.entries(refused))
		test(`${name} is refused, its default is not`, async (d) => {
			const channel = 'h:refused:' + name;
			const body = {channel, data: 1, [name]: value};
			assert.deepEqual((await ask(d, 'publish', body)).error,
			    {code: 107, message: `${name} is not supported`});
			for (const zero of [null, false, 0, ''])
				assert.ok((await ask(d, 'publish', {...body,
				    [name]: zero})).result);
			assert.equal((await ask(d, 'history', {channel})).result
			    .offset, 4);
		});

	test('data that is nested too deep, or no JSON', async (d) => {
		const deep = (n) => '{"channel":"h:deep","data":' +
		    '['.repeat(n) + ']'.repeat(n) + '}';
		assert.equal((await ask(d, 'publish', deep(63))).result.offset, 1);
		for (const body of [deep(64), deep(20000),
		    '{"channel":"h:deep","data":"a\tb"}',
		    '{"channel":"h:deep","data":01}\n'])
			assert.equal((await ask(d, 'publish', body)).error.code,
			    107, body.slice(0, 60));
		for (const body of [deep(64).slice(1), deep(64) + 'x', '{"', '']) {
			const answer = await post(d, '/api/publish', body);
			assert.equal(answer.status, 400);
			assert.equal(JSON.parse(answer.body).error.code, 107);
		}
	});

	test('GET: 405', async (d) => {
		const c = await Client.connect(d.port);
		c.write('GET /api/publish HTTP/1.1\r\nHost: localhost\r\n\r\n');
		const answer = await c.answer();
		assert.equal(answer.status, 405);
		assert.equal(answer.fields.allow, 'POST, OPTIONS');
	});

	test('OPTIONS: 204', async (d) => {
		const c = await Client.connect(d.port);
		c.write('OPTIONS /api/publish HTTP/1.1\r\nHost: localhost\r\n\r\n');
		const answer = await c.head();
		assert.equal(answer.status, 204);
		assert.equal(answer.fields.allow, 'POST, OPTIONS');
		await c.eof();
	});

	test('a body that comes byte by byte', async (d) => {
		const c = await Client.connect(d.port);
		const body = '{"channel":"h:3","data":"slow"}';
		await c.chop(`POST /api/publish HTTP/1.1\r\nHost: localhost\r\n` +
		    `X-API-Key: ${KEY}\r\nContent-Length: ${body.length}\r\n\r\n` +
		    body, 3);
		assert.equal((await c.answer()).status, 200);
	});

	test('a large body, by curl, which asks first', async (d) => {
		const body = JSON.stringify({channel: 'h:4',
		    data: 'x'.repeat(65000)});
		const r = await run('curl', ['-sS', '-H', 'X-API-Key: ' + KEY,
		    '-H', 'Expect: 100-continue', '-d', body,
		    `http://127.0.0.1:${d.port}/api/publish`]);
		assert.equal(JSON.parse(r.stdout).result.offset, 1, r.stderr);
	});

	test('who stops in the middle of a body', async (d) => {
		const c = await Client.connect(d.port);
		await c.write(`POST /api/publish HTTP/1.1\r\nHost: localhost\r\n` +
		    `X-API-Key: ${KEY}\r\nContent-Length: 100\r\n\r\n{`);
		c.drop();
	});
});

/* The head of a publish request. */
function head(more, connection) {
	return 'POST /api/publish HTTP/1.1\r\nHost: localhost\r\n' +
	    `X-API-Key: ${KEY}\r\n${more}\r\n` +
	    (connection ? `Connection: ${connection}\r\n` : '') + '\r\n';
}

/* A whole request that publishes n. */
function publishing(channel, n, connection) {
	const body = JSON.stringify({channel, data: n});
	return head('Content-Length: ' + body.length, connection) + body;
}

/* A request that publishes n, in chunks of that size. */
function chunked(channel, n, size, connection) {
	const body = JSON.stringify({channel, data: n});
	let text = head('Transfer-Encoding: chunked', connection);
	for (let at = 0; at < body.length; at += size) {
		const part = body.slice(at, at + size);
		text += part.length.toString(16) + ';x="y"\r\n' + part + '\r\n';
	}
	return text + '0\r\nTrailer: z\r\n\r\n';
}

/* What a channel has, in its order. */
async function kept(d, channel) {
	return (await ask(d, 'history', {channel, limit: -1})).result
	    .publications.map((p) => p.data);
}

const LONG = `api-key "${KEY}"\n` + `
message-size 1M
queue 4M
channel "h:*" {
	subscribe all
	history 1000
}
`;

group('api connections', {conf: LONG, workers: 1}, (test) => {
	test('requests one after the other', async (d) => {
		const c = await Client.connect(d.port);
		for (let i = 1; i <= 5; i++) {
			c.write(i % 2 ? publishing('h:1', i) :
			    chunked('h:1', i, 5));
			const answer = await c.answer();
			assert.equal(answer.fields.connection, 'keep-alive');
			assert.match(answer.fields['keep-alive'], /^timeout=\d+$/);
			assert.equal(JSON.parse(answer.body).result.offset, i);
		}
		c.write(publishing('h:1', 6, 'close'));
		const answer = await c.answer();
		assert.equal(answer.fields.connection, 'close');
		await c.eof();
		assert.deepEqual(await kept(d, 'h:1'), [1, 2, 3, 4, 5, 6]);
	});

	test('HTTP/1.0: one request, then the end', async (d) => {
		for (const connection of ['', 'keep-alive', 'close']) {
			const c = await Client.connect(d.port);
			c.write(publishing('h:old', 1, connection)
			    .replace('HTTP/1.1', 'HTTP/1.0'));
			const answer = await c.answer();
			assert.equal(answer.status, 200);
			assert.equal(answer.fields.connection, 'close');
			await c.eof();
		}
	});

	for (const size of [1, 7, 100, 4096, 9000])
		test(`pipelined, in pieces of ${size}`, async (d) => {
			const c = await Client.connect(d.port);
			const channel = 'h:pipe' + size, n = 60;
			let text = '';
			for (let i = 1; i <= n; i++)
				text += i % 3 ? publishing(channel, i) :
				    chunked(channel, i, i);
			c.chop(size === 1 ? text.slice(0, 3000) : text, size);
			const answers = size === 1 ? 15 : n;
			for (let i = 1; i <= answers; i++)
				assert.equal(JSON.parse((await c.answer()).body)
				    .result.offset, i);
		});

	test('what is malformed ends it, after the answers before', async (d) => {
		for (const bad of ['GET', 'POST /x HTTP/1.1\r\n\r\n',
		    head('Transfer-Encoding: chunked') + '5 \r\n',
		    head('Transfer-Encoding: chunked\r\nContent-Length: 3')]) {
			const c = await Client.connect(d.port);
			c.write(publishing('h:bad', 1) + (bad === 'GET' ?
			    'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n' : bad));
			assert.equal((await c.answer()).status, 200);
			const answer = await c.answer();
			assert.equal(answer.status, bad === 'GET' ? 200 : 400);
			assert.equal(answer.fields.connection, 'close');
			await c.eof();
		}
	});

	test('no WebSocket comes of such a connection', async (d) => {
		const c = await Client.connect(d.port);
		c.write(publishing('h:ws', 1) + request('/ws?user=alice'));
		assert.equal((await c.answer()).status, 200);
		const answer = await c.answer();
		assert.equal(answer.status, 400);
		assert.match(answer.body, /connection of its own/);
		await c.eof();
	});

	test('chunks are refused as soon as they say too much', async (d) => {
		for (const size of ['fffffff', 'ffffffff', '180000']) {
			const c = await Client.connect(d.port);
			c.write(head('Transfer-Encoding: chunked') + size + '\r\n');
			assert.equal((await c.answer()).status, 413);
		}
		/* and in small ones */
		const c = await Client.connect(d.port);
		const part = '1000\r\n' + 'x'.repeat(4096) + '\r\n';
		c.write(head('Transfer-Encoding: chunked') + part.repeat(400));
		assert.equal((await c.answer()).status, 413);
	});

	test('a limit that is lowered ends a body above it', async (d) => {
		const c = await Client.connect(d.port);
		const part = (n) => n.toString(16) + '\r\n' + ' '.repeat(n) +
		    '\r\n';
		await c.write(head('Transfer-Encoding: chunked') +
		    part(100000).repeat(5));
		fs.writeFileSync(d.conf, LONG.replace('1M', '1K'));
		assert.equal((await d.ctl('reload')).status, 0);
		await until('the new limit', async () => (await post(d,
		    '/api/publish', ' '.repeat(10000))).status === 413);
		c.write(part(10));
		assert.equal((await c.answer()).status, 413);
		fs.writeFileSync(d.conf, LONG);
		assert.equal((await d.ctl('reload')).status, 0);
		await until('the former limit', async () => (await post(d,
		    '/api/publish', ' '.repeat(10000))).status === 400);
	});

	test('a large body in chunks', async (d) => {
		const c = await Client.connect(d.port);
		c.write(chunked('h:large', 'y'.repeat(900000), 60000));
		assert.equal((await c.answer()).status, 200);
		assert.equal((await kept(d, 'h:large'))[0].length, 900000);
	});

	test('an answer that waits, and requests behind it', async (d) => {
		const c = await Client.connect(d.port);
		const big = 'z'.repeat(700000);
		for (let i = 0; i < 4; i++)
			await ask(d, 'publish', {channel: 'h:big', data: big});
		const body = '{"channel":"h:big","limit":2}';
		const history = 'POST /api/history HTTP/1.1\r\nHost: localhost\r\n' +
		    `X-API-Key: ${KEY}\r\nContent-Length: ${body.length}` +
		    '\r\n\r\n' + body;
		c.socket.pause();
		await c.write(history.repeat(8) + publishing('h:after', 1));
		/* it is read from again once its answers have left */
		c.socket.resume();
		for (let i = 0; i < 8; i++)
			assert.equal(JSON.parse((await c.answer()).body).result
			    .publications.length, 2);
		assert.equal(JSON.parse((await c.answer()).body).result.offset, 1);
	});

	test('a drain closes with the next answer', async (d) => {
		const idle = await Client.connect(d.port);
		idle.write(publishing('h:drain', 1));
		await idle.answer();
		await d.ctl('drain', '10');
		await idle.eof();
		await d.ctl('drain', 'off');
		const again = await Client.connect(d.port);
		again.write(publishing('h:drain', 2));
		assert.equal((await again.answer()).fields.connection,
		    'keep-alive');
	});

	test('a worker that is replaced closes those that are idle', async (d) => {
		const idle = await Client.connect(d.port);
		idle.write(publishing('h:plan', 1));
		await idle.answer();
		const r = await d.ctl('restart-worker', '0');
		assert.equal(r.status, 0, r.stderr);
		await idle.eof();
		const again = await Client.connect(d.port);
		again.write(publishing('h:plan', 2));
		assert.equal(JSON.parse((await again.answer()).body).result
		    .offset, 2);
	});

	test('clients that send chunks and keep connections', async (d) => {
		const agent = new http.Agent({keepAlive: true, maxSockets: 1});
		const sockets = new Set();
		for (let i = 1; i <= 3; i++) {
			const text = await new Promise((resolve, reject) => {
				const r = http.request({port: d.port, agent,
				    method: 'POST', path: '/api/publish',
				    headers: {'X-API-Key': KEY}}, (answer) => {
					let body = '';
					answer.on('data', (part) => body += part);
					answer.on('end', () => resolve(body));
				});
				r.on('error', reject);
				r.on('socket', (s) => sockets.add(s));
				r.write('{"channel":"h:node",');
				r.end(`"data":${i}}`);
			});
			assert.equal(JSON.parse(text).result.offset, i);
		}
		assert.equal(sockets.size, 1);
		agent.destroy();
		const r = await run('curl', ['-sS', '-H', 'X-API-Key: ' + KEY,
		    '-H', 'Transfer-Encoding: chunked', '-d',
		    '{"channel":"h:node","data":4}',
		    `http://127.0.0.1:${d.port}/api/publish`]);
		assert.equal(JSON.parse(r.stdout).result.offset, 4, r.stderr);
	});
});

group('api, a short time', {conf: LONG + 'handshake-timeout 400ms\n'}, (test) => {
	test('one that is idle is closed without a word', async (d) => {
		const c = await Client.connect(d.port);
		c.write(publishing('h:idle', 1));
		await c.answer();
		await c.eof(5000);
		const half = await Client.connect(d.port);
		half.write(publishing('h:idle', 1) + 'POST /api');
		await half.answer();
		assert.equal((await half.answer(5000)).status, 408);
		await half.eof();
	});
});

group('no api', {}, (test) => {
	test('without a key there is none', async (d) => assert.equal(
	    (await post(d, '/api/publish', {}, {'X-API-Key': ''})).status, 404));
});
