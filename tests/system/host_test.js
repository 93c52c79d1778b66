/*
 * Where names are not proved: whose pages come in. Through the proxies that
 * developers have (those of Vite and create-react-app are http-proxy), as a
 * service in a network of containers, through nginx and haproxy as etc/ has
 * them, and by a name that its owner has point here (DNS rebinding).
 */
'use strict';

const assert = require('node:assert/strict');
const {execFileSync, spawn, spawnSync} = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const path = require('node:path');
const httpProxy = require('http-proxy');
const WebSocket = require('ws');
const {ROOT, answers, freePort, until} = require('./daemon.js');
const {group} = require('./suite.js');
const {TOKENS, token} = require('./centrifugo.js');

const FAR = '203.0.113.7';

/* What an address answers to GET: {status, body}. */
function get(url, headers = {}) {
	return new Promise((resolve, reject) => {
		(url.startsWith('https:') ? https : http).get(url,
		    {headers, agent: false, rejectUnauthorized: false}, (r) => {
			let body = '';
			r.setEncoding('utf8').on('data', (text) => body += text);
			r.on('end', () => resolve({status: r.statusCode, body}));
		}).on('error', reject);
	});
}

/* How a WebSocket is answered: {status, body}; 101 when it is one. */
function socket(url, headers = {}) {
	return new Promise((resolve, reject) => {
		const ws = new WebSocket(url, {headers, rejectUnauthorized: false});
		ws.on('open', () => ws.terminate());
		ws.on('close', () => resolve({status: 101, body: ''}));
		ws.on('error', reject);
		ws.on('unexpected-response', (_, r) => {
			let body = '';
			r.setEncoding('utf8').on('data', (text) => body += text);
			r.on('end', () => resolve({status: r.statusCode, body}));
		});
	});
}

/* How a user's WebSocket at the plain door is answered. */
function alice(port, headers) {
	return socket(`ws://127.0.0.1:${port}/ws?user=alice`, headers);
}

/* Adds the line that an answer tells to the configuration, and reloads. */
async function obey(d, answer) {
	const line = answer.body.match(/add this line to chatd\.conf: (.*)$/m);
	assert.ok(line, answer.body);
	fs.appendFileSync(d.conf, line[1] + '\n');
	const r = await d.ctl('reload');
	assert.equal(r.status, 0, r.stderr);
	return line[1];
}

/* Puts the configuration back. */
async function restore(d, text = '') {
	fs.writeFileSync(d.conf, text);
	assert.equal((await d.ctl('reload')).status, 0);
}

/* A developer's server in front of the daemon, as both tools set http-proxy
 * up; body gets its port. `more` sees each upgrade on its way. */
async function developing(d, options, body, more = () => {}) {
	const proxy = httpProxy.createProxyServer({
	    target: `http://127.0.0.1:${d.port}`, ws: true, ...options});
	proxy.on('error', () => {});
	proxy.on('proxyReqWs', more);
	const server = http.createServer((q, a) => proxy.web(q, a));
	server.on('upgrade', (q, s, head) => proxy.ws(q, s, head));
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	try {
		await body(server.address().port);
	} finally {
		server.closeAllConnections();
		server.close();
	}
}

group('host', {workers: 1}, (test) => {
	test('Vite as it is: page and socket', (d) =>
	    developing(d, {}, async (port) => {
		const Origin = `http://localhost:${port}`;
		const Host = `localhost:${port}`;
		assert.equal((await get(`http://127.0.0.1:${port}/`,
		    {Host})).status, 200);
		assert.equal((await alice(port, {Host, Origin})).status, 101);
	    }));

	test('Vite on the LAN: a phone that knows the address', (d) =>
	    developing(d, {xfwd: true}, async (port) => {
		const Host = `192.168.1.5:${port}`;
		assert.equal((await get(`http://127.0.0.1:${port}/`,
		    {Host})).status, 200);
		assert.equal((await alice(port,
		    {Host, Origin: `http://${Host}`})).status, 101);
	    }, (q) => q.setHeader('X-Forwarded-For', '192.168.1.7')));

	test('Vite with changeOrigin: told the line', (d) =>
	    developing(d, {changeOrigin: true}, async (port) => {
		const Host = `localhost:${port}`, Origin = `http://${Host}`;
		assert.equal((await get(`http://127.0.0.1:${port}/`,
		    {Host})).status, 200);
		const answer = await alice(port, {Host, Origin});
		assert.equal(answer.status, 403);
		assert.equal(await obey(d, answer), `origin "${Origin}"`);
		assert.equal((await alice(port, {Host, Origin})).status, 101);
		await restore(d);
	    }));

	test('Vite with changeOrigin and rewriteWsOrigin', (d) =>
	    developing(d, {changeOrigin: true}, async (port) => {
		const Host = `localhost:${port}`, Origin = `http://${Host}`;
		assert.equal((await alice(port, {Host, Origin})).status, 101);
	    }, (q) => q.setHeader('Origin', `http://127.0.0.1:${d.port}`)));

	test('create-react-app: page, socket, and the line', (d) =>
	    developing(d, {changeOrigin: true, xfwd: true}, async (port) => {
		const Host = `localhost:${port}`, Origin = `http://${Host}`;
		assert.equal((await get(`http://127.0.0.1:${port}/`,
		    {Host})).status, 200);
		const answer = await alice(port, {Host, Origin});
		assert.equal(answer.status, 403);
		await obey(d, answer);
		assert.equal((await alice(port, {Host, Origin})).status, 101);
		await restore(d);
	    }));

	test('a developer\'s proxy that lets the world in: both ways out', (d) =>
	    developing(d, {changeOrigin: true, xfwd: true}, async (port) => {
		const answer = await alice(port, {Host: 'localhost'});
		assert.equal(answer.status, 403);
		assert.match(answer.body, /token-key/);
		assert.match(answer.body, /insecure public/);
	    }, (q) => q.setHeader('X-Forwarded-For', FAR)));

	test('a service in a network of containers: told the line', async (d) => {
		const Host = 'chatd:8080';
		const answer = await alice(d.port, {Host});
		assert.equal(answer.status, 421);
		assert.equal(await obey(d, answer), 'host "chatd"');
		assert.equal((await alice(d.port, {Host})).status, 101);
		await restore(d);
		assert.equal((await alice(d.port, {Host})).status, 421);
	});

	test('load balancers ask under any name', async (d) => {
		const url = `http://127.0.0.1:${d.port}/health`;
		assert.equal((await get(url, {Host: 'chat.example.org',
		    'X-Forwarded-For': FAR})).status, 200);
	});

	test('insecure public: nothing is checked, and the log says so',
	    async (d) => {
		await restore(d, 'insecure public\n');
		assert.equal((await alice(d.port, {Host: 'evil.example',
		    'X-Forwarded-For': FAR})).status, 101);
		await d.logged(/anybody may connect under any name, from anywhere/);
		await restore(d);
		assert.equal((await alice(d.port,
		    {Host: 'evil.example'})).status, 421);
	});

	test('a page whose owner has its name point here (Chromium)',
	    async (d) => {
		const {chromium} = require('playwright-core');
		const browser = await chromium.launch({
		    executablePath: '/usr/bin/chromium', args: ['--headless',
		    '--no-sandbox', '--disable-gpu', '--no-first-run',
		    '--host-resolver-rules=MAP evil.example 127.0.0.1',
		    '--disable-background-networking', '--disable-sync',
		    '--disable-component-update']});
		try {
			const page = await browser.newPage();
			const at = `evil.example:${d.port}`;
			assert.equal((await page.goto(`http://${at}/`)).status(),
			    421);
			assert.equal(await page.evaluate((url) =>
			    new Promise((resolve) => {
				const ws = new WebSocket(url);
				ws.onopen = () => resolve('open');
				ws.onerror = () => resolve('refused');
			    }), `ws://${at}/ws?user=alice`), 'refused');
		} finally {
			await browser.close();
		}
	}, {limit: 60000});
});

/* A key and a certificate in one file, as both proxies take it. */
function certificate(dir) {
	const pem = path.join(dir, 'chat.pem');
	if (!fs.existsSync(pem)) {
		execFileSync('openssl', ['req', '-x509', '-newkey', 'ec',
		    '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days',
		    '2', '-subj', '/CN=chat.example.org', '-keyout', pem + '.key',
		    '-out', pem + '.crt'], {stdio: 'ignore'});
		fs.writeFileSync(pem, fs.readFileSync(pem + '.crt', 'utf8') +
		    fs.readFileSync(pem + '.key', 'utf8'), {mode: 0o600});
	}
	return pem;
}

/* Runs a proxy until body is done; it must listen on that port. */
async function behind(d, port, file, args, body) {
	const child = spawn(file, args, {stdio: ['ignore', 'pipe', 'pipe']});
	let said = '';
	for (const stream of [child.stdout, child.stderr])
		stream.on('data', (text) => said += text);
	const end = new Promise((resolve) => child.on('exit', resolve));
	try {
		await until(`${file} listens`, () => {
			if (child.exitCode !== null)
				throw new Error(said);
			return answers(port);
		}, 15000);
		await body();
	} finally {
		child.kill('SIGTERM');
		await end;
	}
}

/* nginx with etc/nginx.conf, at a port of its own. A client is who the field
 * X-Test says, as if it came from there. */
async function nginx(d, body) {
	const port = await freePort(), pem = certificate(d.dir);
	const site = fs.readFileSync(path.join(ROOT, 'etc/nginx.conf'), 'utf8')
	    .replace(/listen 443 ssl;/, `listen 127.0.0.1:${port} ssl;
	set_real_ip_from 127.0.0.1;
	real_ip_header X-Test;`)
	    .replace(/\tlisten \[::\]:443 ssl;\n/, '')
	    .replace('127.0.0.1:8080', `127.0.0.1:${d.port}`)
	    .replace('/etc/ssl/chat.example.org.pem', pem)
	    .replace('/etc/ssl/chat.example.org.key', pem);
	const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
	    .map((name) => `${name}_temp_path ${d.dir}/nginx-${name};`);
	const conf = path.join(d.dir, 'nginx.conf');
	fs.writeFileSync(conf, `daemon off; master_process off;
pid ${d.dir}/nginx.pid; error_log stderr;
events {}
http { access_log off; ${temp.join(' ')}
${site} }
`);
	await behind(d, port, 'nginx', ['-c', conf, '-e', 'stderr'], () =>
	    body(port));
}

/* haproxy with etc/haproxy.cfg, at a port of its own. */
async function haproxy(d, body) {
	const port = await freePort(), pem = certificate(d.dir);
	const conf = path.join(d.dir, 'haproxy.cfg');
	fs.writeFileSync(conf, fs.readFileSync(path.join(ROOT,
	    'etc/haproxy.cfg'), 'utf8')
	    .replace(/log \/dev\/log local0/, '')
	    .replace('maxconn 40000', 'maxconn 100')
	    .replace(':::443 v4v6', `127.0.0.1:${port}`)
	    .replace('/etc/ssl/chat.example.org.pem', pem)
	    .replace('127.0.0.1:8080', `127.0.0.1:${d.port}`));
	const checked = spawnSync('haproxy', ['-c', '-f', conf],
	    {encoding: 'utf8'});
	assert.equal(checked.status, 0, checked.stderr + checked.stdout);
	await behind(d, port, 'haproxy', ['-f', conf], () => body(port));
}

/* Both sample files: the API is hidden; a client with a token comes in. */
async function sample(port) {
	const Host = 'chat.example.org', at = `127.0.0.1:${port}`;
	await until('the proxy has found chatd', async () =>
	    (await get(`https://${at}/health`, {Host})).status === 200, 15000);
	assert.equal((await get(`https://${at}/`, {Host})).status, 200);
	assert.equal((await get(`https://${at}/api/publish`,
	    {Host, 'X-API-Key': 'key'})).status, 404);
	assert.equal((await socket(`wss://${at}/connection/websocket`,
	    {Host, Origin: `https://${Host}`})).status, 101);
	assert.equal((await socket(`wss://${at}/ws?user=alice`,
	    {Host, Origin: `https://${Host}`})).status, 401);
}

group('sample proxies', {workers: 1, conf: TOKENS + 'api-key key\n'},
    (test) => {
	test('etc/nginx.conf', (d) => nginx(d, sample));
	test('etc/haproxy.cfg', (d) => haproxy(d, sample));
	test('the API is there for who reaches it', async (d) => {
		const r = await get(`http://127.0.0.1:${d.port}/api/publish`);
		assert.equal(r.status, 405);
	});
});

group('sample proxies without a key', {workers: 1}, (test) => {
	test('nginx with a public name: neither name nor strangers', (d) =>
	    nginx(d, async (port) => {
		const Host = 'chat.example.org', at = `127.0.0.1:${port}`;
		const url = `wss://${at}/ws?user=alice`;
		assert.equal((await socket(url, {Host})).status, 421);
		await obey(d, await socket(url, {Host}));
		assert.equal((await socket(url, {Host})).status, 101);
		const far = await socket(url, {Host, 'X-Test': FAR});
		assert.equal(far.status, 403);
		assert.match(far.body, /token-key/);
		/* What the client says itself is not what counts. */
		assert.equal((await socket(url, {Host, 'X-Test': FAR,
		    'X-Forwarded-For': '127.0.0.1'})).status, 403);
		await restore(d);
	    }));
	test('haproxy with a public name', (d) => haproxy(d, async (port) => {
		const url = `wss://127.0.0.1:${port}/ws?user=alice`;
		const Host = 'chat.example.org';
		await until('the proxy has found chatd', async () =>
		    (await socket(url, {Host})).status === 421, 15000);
		await obey(d, await socket(url, {Host}));
		assert.equal((await socket(url, {Host})).status, 101);
		await restore(d);
	}));
});
