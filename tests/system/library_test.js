/* Clients that others wrote: npm ws, python3-websockets, curl. */
'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const WebSocket = require('ws');
const {group} = require('./suite.js');
const {run} = require('./daemon.js');

/* An open npm ws client that collects what it hears. */
function wsOpen(d, name, ...more) {
	return new Promise((resolve, reject) => {
		const ws = new WebSocket(`ws://127.0.0.1:${d.port}/ws?user=` +
		    encodeURIComponent(name), ...more);
		ws.heard = [];
		ws.on('message', (data, binary) => {
			assert.equal(binary, false);
			ws.heard.push(data.toString());
			ws.wake?.();
		});
		ws.on('open', () => resolve(ws));
		ws.on('error', reject);
	});
}

/* Waits until a client has heard n messages. */
async function wsHeard(ws, n) {
	while (ws.heard.length < n)
		await new Promise((resolve) => ws.wake = resolve);
	return ws.heard;
}

/* Closes a client; resolves with the code. */
function wsClose(ws) {
	return new Promise((resolve) => {
		ws.on('close', resolve);
		ws.close(1000);
	});
}

group('npm ws', {conf: 'echo yes\n'}, (test) => {
	test('a chat of 20 over 4 workers', async (d) => {
		const all = await Promise.all(Array.from({length: 20}, (_, i) =>
		    wsOpen(d, `user ${i}`)));
		for (let n = 0; n < 10; n++)
			all.forEach((ws) => ws.send(`message ${n}`));
		for (const ws of all)
			assert.deepEqual(await wsHeard(ws, 200), all[0].heard);
		all[3].send('/msg "user 4" psst');
		assert.equal((await wsHeard(all[4], 201))[200],
		    '"user 3" whispers: psst');
		for (const ws of all) {
			assert.equal(ws.heard.length, ws === all[4] ? 201 : 200);
			assert.equal(ws.extensions, '');
			assert.equal(ws.protocol, '');
			assert.equal(await wsClose(ws), 1000);
		}
	});
	test('pings and large messages', async (d) => {
		const ws = new WebSocket(`ws://127.0.0.1:${d.port}/echo`);
		await new Promise((resolve, reject) => {
			ws.on('open', resolve);
			ws.on('error', reject);
		});
		ws.ping('hello');
		assert.equal(String(await new Promise((resolve) =>
		    ws.once('pong', resolve))), 'hello');
		for (const data of ['', 'x'.repeat(70000), Buffer.alloc(5 << 20, 7)]) {
			ws.send(data);
			const back = await new Promise((resolve) =>
			    ws.once('message', resolve));
			assert.ok(Buffer.from(data).equals(back));
		}
		assert.equal(await wsClose(ws), 1000);
	});
	test('a refusal is understood', async (d) => {
		await assert.rejects(wsOpen(d, '@alice'), /400/);
		await assert.rejects(wsOpen(d, 'alice',
		    {headers: {Origin: 'http://evil.example'}}), /403/);
	});
});

group('python3-websockets', {conf: 'echo yes\n'}, (test) => {
	test('a chat of 12 over 4 workers', async (d) => {
		const r = await run('/usr/bin/python3',
		    [path.join(__dirname, 'python_test.py'), String(d.port)]);
		assert.equal(r.status, 0, r.stdout + r.stderr);
	});
});

group('curl', {}, (test) => {
	test('GET /health and /', async (d) => {
		const get = (target) => run('curl', ['-sS', '-m', '5', '-w',
		    ' %{http_code}', `http://127.0.0.1:${d.port}${target}`]);
		assert.match((await get('/health')).stdout, /^ok\s* 200$/);
		assert.match((await get('/')).stdout, / 200$/);
		assert.match((await get('/nope')).stdout, / 404$/);
		assert.match((await get('/ws?user=a')).stdout, / 426$/);
	});
});
