/*
 * Endpoints: what words behind an address of `listen` say of those who come
 * through it, also after a live upgrade and when a word makes no sense.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const {CHATD, answers, freePort, run} = require('./daemon.js');
const {Client, request} = require('./client.js');
const {group} = require('./suite.js');

/* The status of a request for a path; 101 if it is a WebSocket. */
async function ask(port, url) {
	const c = await Client.connect(port);
	c.write(request(url));
	const answer = await c.head();
	c.drop();
	return answer.status;
}

/* What a port serves: statuses by path. */
async function serves(port) {
	return {
		plain: await ask(port, '/ws?user=alice'),
		echo: await ask(port, '/echo'),
		centrifugo: await ask(port, '/connection/websocket')
	};
}

/* The status of a request with those bytes. */
async function status(port, bytes) {
	const c = await Client.connect(port);
	c.write(bytes);
	const answer = await c.head();
	c.drop();
	return answer.status;
}

/* What a port serves, by what is asked of it. */
async function whose(port) {
	const ask1 = (line, fields = '') => status(port,
	    `${line} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`);
	return {
		api: await status(port, 'POST /api/channels HTTP/1.1\r\n' +
		    'Host: localhost\r\nX-API-Key: secret\r\n' +
		    'Content-Length: 2\r\n\r\n{}'),
		health: await ask1('GET /health'),
		page: await ask1('GET /'),
		...await serves(port),
		upgrade: await ask1('GET /ws'),
		options: await ask1('OPTIONS /'),
		none: await ask1('GET /none'),
		bad: await ask1('GET /', 'Content-Length: x\r\n')
	};
}

/* A daemon with three addresses, of which two have words. */
async function ports(d) {
	const [all, one, two] = d.ports;
	assert.deepEqual(await serves(all),
	    {plain: 101, echo: 101, centrifugo: 101});
	assert.deepEqual(await serves(one),
	    {plain: 404, echo: 404, centrifugo: 101});
	assert.deepEqual(await serves(two),
	    {plain: 101, echo: 101, centrifugo: 404});
	return [all, one, two];
}

group('words of listen', null, (test) => {
	const {Daemon} = require('./daemon.js');

	test('a door is open where it is named, also after an upgrade',
	    async () => {
		const p = [await freePort(), await freePort(), await freePort()];
		const d = await Daemon.start({listen: false, port: p[0],
		    conf: `listen 127.0.0.1:${p[0]}\n` +
		    `listen 127.0.0.1:${p[1]} centrifugo\n` +
		    `listen 127.0.0.1:${p[2]} tcp plain websocket echo public\n` +
		    'echo yes\ninsecure yes\nlog verbose\n'});
		d.ports = p;
		await ports(d);
		await d.logged(
		    /refused: 404 that is not served at this address.*`listen`/);
		const r = await d.ctl('upgrade');
		assert.deepEqual([r.status, r.stderr], [0, '']);
		await ports(d);
		/* the page and the rest of HTTP are everywhere */
		for (const port of p)
			assert.ok(await answers(port));
		/* other words need a restart */
		const text = fs.readFileSync(d.conf, 'utf8');
		fs.writeFileSync(d.conf, text.replace(' centrifugo\n', '\n'));
		const reload = await d.ctl('reload');
		assert.match(reload.stdout + reload.stderr, /to count: listen\b/);
		await ports(d);
		await d.stop();
	}, {limit: 60000});

	test('what backends ask for is served where it is meant to be, also ' +
	    'after an upgrade and a reload', async () => {
		const [all, clients, admin] =
		    [await freePort(), await freePort(), await freePort()];
		const d = await Daemon.start({listen: false, port: all,
		    conf: `listen 127.0.0.1:${admin} admin\n` +
		    `listen 127.0.0.1:${all}\nlisten 127.0.0.1:${clients} clients\n` +
		    'echo yes\ninsecure yes\napi-key "secret"\n'});
		const judge = async () => {
			assert.deepEqual(await whose(all), {api: 200, health: 200,
			    page: 200, plain: 101, echo: 101, centrifugo: 101,
			    upgrade: 426, options: 204, none: 404, bad: 400});
			assert.deepEqual(await whose(clients), {api: 404,
			    health: 200, page: 200, plain: 101, echo: 101,
			    centrifugo: 101, upgrade: 426, options: 204, none: 404,
			    bad: 400});
			assert.deepEqual(await whose(admin), {api: 200, health: 200,
			    page: 404, plain: 404, echo: 404, centrifugo: 404,
			    upgrade: 404, options: 404, none: 404, bad: 400});
		};
		await judge();
		/* the page is not told of at the first address */
		await d.logged(new RegExp(`ready: page http://127.0.0.1:${all}/`));
		const shown = await d.ctl('show', 'config');
		assert.match(shown.stdout, new RegExp(
		    `listen.*127\\.0\\.0\\.1:${admin} admin`));
		assert.match(shown.stdout, new RegExp(
		    `127\\.0\\.0\\.1:${clients} clients`));
		for (const order of ['upgrade', 'reload']) {
			const r = await d.ctl(order);
			assert.deepEqual([r.status, r.stderr], [0, ''], order);
			await judge();
		}
		await d.stop();
	}, {limit: 60000});

	test('however a path is written, it is served at its addresses alone',
	    async () => {
		const [all, clients, admin] =
		    [await freePort(), await freePort(), await freePort()];
		const d = await Daemon.start({listen: false, port: all,
		    conf: `listen 127.0.0.1:${all}\n` +
		    `listen 127.0.0.1:${admin} admin\n` +
		    `listen 127.0.0.1:${clients} clients\n` +
		    'insecure yes\napi-key "secret"\n'});
		const api = (port, target, method = 'POST') => status(port,
		    `${method} ${target} HTTP/1.1\r\nHost: localhost\r\n` +
		    'X-API-Key: secret\r\n' + (method === 'POST' ?
		    'Content-Length: 2\r\n\r\n{}' : '\r\n'));
		/* the body of another path is not welcome, wherever that is */
		for (const [target, is] of Object.entries({
			'/api/channels': 200,
			'/api/channels?/ws': 200,
			'http://localhost/api/channels': 200,
			'/api//channels': 404,
			'//api/channels': 400,
			'/./api/channels': 400,
			'/health/../api/channels': 400,
			'/%61pi/channels': 400,
			'/api/channels/': 404
		})) {
			assert.equal(await api(all, target), is, target);
			assert.equal(await api(admin, target), is, target);
			assert.equal(await api(clients, target), is === 400 ? 400 : 404,
			    target);
		}
		for (const [method, is] of [['HEAD', 405], ['OPTIONS', 204]]) {
			assert.equal(await api(all, '/api/channels', method), is);
			assert.equal(await api(clients, '/api/channels', method), 404);
		}
		for (const target of ['/ws?user=a', 'http://localhost/ws?user=a',
		    '/connection/websocket?/api/channels']) {
			assert.equal(await ask(all, target), 101, target);
			assert.equal(await ask(clients, target), 101, target);
			assert.equal(await ask(admin, target), 404, target);
		}
		await d.stop();
	}, {limit: 60000});

	test('a word that makes no sense is told with its line', async () => {
		const dir = fs.mkdtempSync('/tmp/chatd-words-');
		const file = path.join(dir, 'a.conf');
		const wrong = {
			'smoke': '"smoke" is unknown; known words are public ' +
			    'clients admin tls-redirect tcp tls websocket plain echo ' +
			    'centrifugo',
			'adnim': '"adnim" is unknown; did you mean admin? known',
			'admin clients': 'admin and clients contradict each other',
			'plain admin': 'plain is a door for clients, and admin ' +
			    'opens none',
			'"a b"': '"a b" is no word',
			'tcp tcp': 'tcp: another word says so already'
		};
		for (const [words, what] of Object.entries(wrong)) {
			fs.writeFileSync(file,
			    `log brief\nlisten 127.0.0.1:1 ${words}\n`);
			const r = await run(CHATD, ['-n', '-f', file]);
			assert.equal(r.status, 78);
			assert.ok(r.stderr.includes(`${file}:2: listen: `) &&
			    r.stderr.includes(what), r.stderr);
		}
		fs.rmSync(dir, {recursive: true});
	});
});
