/* The server API: publish and history with a key, judged as HTTP too. */
'use strict';

const assert = require('node:assert/strict');
const {group} = require('./suite.js');
const {run} = require('./daemon.js');
const {Client} = require('./client.js');
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
		['no JSON', '/api/publish', 'x', undefined, 400],
		['an array', '/api/publish', '[]', undefined, 400],
		['an empty body', '/api/publish', '', undefined, 400],
		['no length', '/api/publish', '', {'X-API-Key': KEY,
		    'Content-Length': null}, 411],
		['chunks', '/api/publish', '', {'X-API-Key': KEY,
		    'Transfer-Encoding': 'chunked'}, 400],
		['a body elsewhere', '/health', 'x', {}, 400],
		['another method of the API', '/api/info', good, undefined, 404],
		['a malformed length', '/api/publish', '', {'X-API-Key': KEY,
		    'Content-Length': '+1'}, 400],
		['a body that is too long', '/api/publish', '', {'X-API-Key': KEY,
		    'Content-Length': '99999999999999999999'}, 413]
	];
	for (const [name, path, body, fields, status] of statuses)
		test(`${name}: ${status}`, async (d) => assert.equal(
		    (await post(d, path, body, fields)).status, status));

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

group('no api', {}, (test) => {
	test('without a key there is none', async (d) => assert.equal(
	    (await post(d, '/api/publish', {}, {'X-API-Key': ''})).status, 404));
});
