/*
 * TLS as browsers and certbot meet it: HSTS, plain HTTP that is sent to https,
 * and the answers to ACME challenges.
 */
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const https = require('node:https');
const {execFileSync} = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const {group} = require('./suite.js');
const {freePort, until} = require('./daemon.js');
const {tlsDaemon, tlsStop, wss} = require('./tls.js');

/* One request: {status, headers, body}. */
function ask(url, options = {}) {
	return new Promise((resolve, reject) => {
		const r = (url.startsWith('https') ? https : http).request(url,
		    {agent: false, ...options}, (a) => {
			    let body = '';
			    a.setEncoding('latin1').on('data', (b) => body += b);
			    a.on('error', reject).on('end', () => resolve(
				{status: a.statusCode, headers: a.headers, body}));
		    });
		r.on('error', reject).end(options.body);
	});
}

/* Runs a test with a daemon. */
function served(options, body) {
	return async () => {
		const d = await tlsDaemon({workers: 2, ...options});
		try {
			await body(d);
		} catch (error) {
			await tlsStop(d, () => d.kill());
			throw error;
		}
		await tlsStop(d);
	};
}

/* A folder that the workers' user may read. */
function folder() {
	const dir = fs.mkdtempSync('/tmp/chatd-webroot-');
	fs.chmodSync(dir, 0o755);
	return dir;
}

/* served() with an address that sends clients to TLS: d.redirect, its port, and
 * d.webroot. */
function redirects(conf, body) {
	return async () => {
		const redirect = await freePort();
		const webroot = folder();
		const more = `listen 127.0.0.1:${redirect} tls-redirect\n` +
		    conf.replace('WEBROOT', webroot);
		try {
			await served({conf: more}, (d) =>
				body(Object.assign(d, {redirect, webroot})))();
		} finally {
			fs.rmSync(webroot, {recursive: true, force: true});
		}
	};
}

/* Sends bytes, and returns all that comes. */
function raw(port, bytes) {
	return new Promise((resolve, reject) => {
		let all = '';
		const s = net.connect(port, '127.0.0.1', () => s.write(bytes));
		s.setEncoding('latin1').on('data', (b) => all += b);
		s.on('error', reject).on('close', () => resolve(all));
	});
}

/* The processes of the redirector: [it, the one that reads files]; 0: none. */
async function redirectors(d) {
	const own = (await d.json('show', 'processes'))
	    .find((p) => p.kind === 'redirector')?.pid ?? 0;
	const of = (pid) => {
		try {
			return fs.readFileSync(`/proc/${pid}/stat`, 'latin1')
			    .split(') ').at(-1).split(' ')[1];
		} catch {
			return '';
		}
	};
	const files = fs.readdirSync('/proc').find((pid) =>
		/^\d/.test(pid) && own && of(pid) === String(own));
	return [own, Number(files ?? 0)];
}

const BELOW = '.well-known/acme-challenge';

group('tls_web', null, (test) => {
	test('hsts', served({conf: 'hsts 24h\napi-key sesame\n'}, async (d) => {
		const ca = fs.readFileSync(d.pem[0].cert);
		const to = `https://127.0.0.1:${d.tlsPort}`;
		const api = (path, key) => ask(`${to}${path}`, {ca,
			method: 'POST', headers: {'X-API-Key': key},
			body: '{}'});
		const hsts = 'max-age=86400';
		const all = [await ask(`${to}/`, {ca}),
		    await ask(`${to}/none`, {ca}), await ask(`${to}/ws`, {ca}),
		    await api('/api/info', 'sesame'), await api('/api/info', '')];
		assert.deepEqual(all.map((a) => a.status),
		    [200, 404, 426, 200, 401]);
		for (const a of all)
			assert.equal(a.headers['strict-transport-security'], hsts);
		const ws = wss(d, '?user=alice');
		const upgraded = await new Promise((resolve, reject) =>
			ws.on('upgrade', resolve).on('error', reject));
		assert.equal(upgraded.headers['strict-transport-security'], hsts);
		ws.terminate();
		const plain = await ask(`http://127.0.0.1:${d.port}/`);
		assert.equal(plain.headers['strict-transport-security'],
		    undefined);
	}));

	test('plain HTTP is sent to https', redirects('hsts 24h\n',
	    async (d) => {
		const at = `http://127.0.0.1:${d.redirect}`;
		const to = `https://127.0.0.1:${d.tlsPort}`;
		for (const [method, target, status] of [['GET', '/', 301],
		    ['HEAD', '/a/b?c=d&e', 301], ['POST', '/api/x', 308],
		    ['GET', `/${BELOW}/token`, 301]]) {
			const a = await ask(at + target, {method, body:
			    method === 'POST' ? 'x'.repeat(100000) : undefined});
			assert.equal(a.status, status);
			assert.equal(a.headers.location, to + target);
			assert.equal(a.headers['strict-transport-security'],
			    undefined);
		}
		const page = execFileSync('curl', ['-sSL', '--cacert',
		    d.pem[0].cert, `${at}/`], {encoding: 'latin1'});
		assert.match(page, /<!doctype html>/i);
		const host = async (h) => {
			const text = await raw(d.redirect,
			    `GET /x HTTP/1.1\r\nHost: ${h}\r\n\r\n`);
			return text.split(' ', 2)[1] === '301' ?
			    /^Location: (.*)\r$/m.exec(text)[1] :
			    Number(text.split(' ', 2)[1]);
		};
		const end = `:${d.tlsPort}/x`;
		assert.equal(await host('chat.example:80'),
		    `https://chat.example${end}`);
		assert.equal(await host('[::1]:80'), `https://[::1]${end}`);
		for (const bad of ['', 'a@b', 'a/b', 'a b', 'a%0d%0ab', 'a;b',
		    'x'.repeat(300)])
			assert.equal(await host(bad), 400, bad);
		assert.match(await raw(d.redirect, 'GET / HTTP/1.0\r\n\r\n'),
		    /^HTTP\/1.1 400 /);
		assert.match(await raw(d.redirect, 'nonsense\r\n\r\n'),
		    /^HTTP\/1.1 400 /);
		assert.match(await raw(d.redirect, 'GET / HTTP/1.1\r\nA: ' +
		    'x'.repeat(20000)), /^HTTP\/1.1 431 /);
		/* another port, where clients see one */
		fs.appendFileSync(d.conf, 'tls-redirect-port 443\n');
		await d.ctl('reload');
		await until('it goes to the port of https', async () =>
			(await ask(`${at}/`)).headers.location ===
			'https://127.0.0.1/');
	}));

	test('an upgrade costs no request', redirects(
	    'acme-challenge "WEBROOT"\n', async (d) => {
		const at = `http://127.0.0.1:${d.redirect}/`;
		const [before] = await redirectors(d);
		let upgraded = false, n = 0;
		const upgrade = d.ctl('upgrade').then((r) => {
			assert.equal(r.status, 0, r.stderr);
			upgraded = true;
		});
		while (!upgraded || (await redirectors(d))[0] === before) {
			assert.equal((await ask(at)).status, 301);
			assert.equal((await ask(`${at}${BELOW}/x`)).status, 404);
			n++;
		}
		await upgrade;
		assert.ok(n > 0);
	}));

	test('who says nothing keeps nobody out', redirects(
	    'handshake-timeout 1s\n', async (d) => {
		const idle = Array.from({length: 400}, () =>
			net.connect(d.redirect, '127.0.0.1').on('error', () => {}));
		const ended = idle.map((s) =>
			new Promise((resolve) => s.on('close', resolve)));
		idle.forEach((s) => s.resume());
		const a = await ask(`http://127.0.0.1:${d.redirect}/`);
		assert.equal(a.status, 301);
		await Promise.all(ended);
	}));

	test('without descriptors it waits, and costs nothing', redirects(
	    /* whose limits this user may lower */
	    `handshake-timeout 2s\nuser ${os.userInfo().username}\n`,
	    async (d) => {
		const [pid] = await redirectors(d);
		/* processor time so far, in hundredths of a second */
		const used = () => fs.readFileSync(`/proc/${pid}/stat`, 'latin1')
		    .split(') ').at(-1).split(' ').slice(11, 13)
		    .reduce((n, ticks) => n + Number(ticks), 0);
		execFileSync('prlimit', ['--pid', pid, '--nofile=24:24']);
		const before = used();
		await Promise.all(Array.from({length: 60}, () =>
			net.connect(d.redirect, '127.0.0.1').resume()
			    .on('error', () => {})).map((s) =>
			new Promise((resolve) => s.on('close', resolve))));
		assert.equal((await ask(`http://127.0.0.1:${d.redirect}/`)).status,
		    301);
		assert.ok(used() - before < 100, `${used() - before} spent`);
	}), {limit: 30000});

	test('with a bad certificate a reload names what it keeps', redirects('',
	    async (d) => {
		const cert = fs.readFileSync(d.pem[0].cert);
		fs.appendFileSync(d.conf, '\nhsts 10s\ntls-groups X25519\n');
		fs.writeFileSync(d.pem[0].cert, 'none');
		const bad = await d.ctl('reload');
		const said = bad.stdout + bad.stderr;
		assert.match(said, /reloaded: hsts\ncertificates not reloaded: .*\n/);
		assert.match(said, /not reloaded with them: tls-groups\n/);
		fs.writeFileSync(d.pem[0].cert, cert);
		assert.match((await d.ctl('reload')).stdout,
		    /reloaded: tls-groups\ncertificates reloaded\n/);
	}));

	test('challenges of ACME', redirects('acme-challenge "WEBROOT"\n',
	    async (d) => {
		const get = async (token, options) => {
			const a = await ask(`http://127.0.0.1:${d.redirect}/` +
			    `${BELOW}/${token}`, options);
			return a.status === 200 ? a.body : a.status;
		};
		const put = (name, text) => fs.writeFileSync(
		    path.join(d.webroot, BELOW, name), text);
		assert.equal(await get('token'), 404); /* no folder yet */
		fs.mkdirSync(path.join(d.webroot, BELOW), {recursive: true});
		put('token-A_9', 'token-A_9.thumb');
		assert.equal(await get('token-A_9'), 'token-A_9.thumb');
		assert.equal(await get('token-A_9', {method: 'HEAD'}), '');
		assert.equal(await get('token-A_9', {method: 'POST'}), 308);
		assert.equal(await get('other'), 404);
		assert.equal(execFileSync('curl', ['-sS', `http://127.0.0.1:` +
		    `${d.redirect}/${BELOW}/token-A_9`], {encoding: 'latin1'}),
		'token-A_9.thumb');
		/* what is no token, or no file of that folder */
		const secret = path.join(d.webroot, 'secret');
		fs.writeFileSync(secret, 'secret');
		put('a.b', 'secret');
		for (const bad of ['', '.', '..', 'a.b', '..%2f..%2fsecret',
		    'a/b', 'token-A_9/', 'token-A_9%00', 'x'.repeat(129)])
			assert.equal((await raw(d.redirect, `GET /${BELOW}/` +
			    `${bad} HTTP/1.1\r\nHost: a\r\n\r\n`))
				.split(' ', 2)[1], '404', bad);
		const below = (name) => path.join(d.webroot, BELOW, name);
		fs.symlinkSync('/etc/hostname', below('absolute'));
		fs.symlinkSync('../../../../../../etc/hostname', below('up'));
		fs.symlinkSync('../../secret', below('inside'));
		fs.mkdirSync(below('folder'));
		execFileSync('mkfifo', [below('pipe')]);
		put('huge', 'x'.repeat(1025));
		put('largest', 'x'.repeat(1024));
		put('empty', '');
		put('closed', 'x');
		for (const name of ['absolute', 'up', 'folder', 'pipe', 'huge',
		    'empty'])
			assert.equal(await get(name), 404, name);
		assert.equal(await get('inside'), 'secret');
		assert.equal(await get('largest'), 'x'.repeat(1024));
		/* another folder, at once */
		const next = folder();
		fs.mkdirSync(path.join(next, BELOW), {recursive: true});
		fs.writeFileSync(path.join(next, BELOW, 'n'), 'next');
		fs.writeFileSync(d.conf, fs.readFileSync(d.conf, 'utf8')
			.replace(d.webroot, next));
		await d.ctl('reload');
		await until('the new folder is served', async () =>
			await get('n') === 'next');
		fs.rmSync(next, {recursive: true});
	}));

	test('a disk that hangs', redirects('acme-challenge "WEBROOT"\n',
	    async (d) => {
		const at = `http://127.0.0.1:${d.redirect}/`;
		const token = () => ask(`${at}${BELOW}/token`);
		const [, files] = await redirectors(d);
		assert.ok(files > 0);
		process.kill(files, 'SIGSTOP');
		const slow = Array.from({length: 200}, () => token()
			.then((a) => a.status, () => 0));
		for (let k = 0; k < 20; k++)
			assert.equal((await ask(at)).status, 301);
		assert.deepEqual([...new Set(await Promise.all(slow))]
			.filter((s) => s !== 503), []);
		process.kill(files, 'SIGCONT');
		await until('it answers again', async () =>
			(await token()).status === 404);
		/* the death of either costs what is under way */
		for (const which of [0, 1]) {
			const before = await redirectors(d);
			assert.ok(before[which] > 0);
			process.kill(before[which], 'SIGKILL');
			await until('another one serves', async () =>
				(await redirectors(d)).every((p, k) => p > 0 &&
				p !== before[k]) &&
				(await token().catch(() => ({}))).status === 404);
		}
	}));
});
