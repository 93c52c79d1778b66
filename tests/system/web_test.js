/*
 * How the web page is served: headers, compression, revalidation, a folder of
 * one's own, readers who take their time.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const zlib = require('node:zlib');
const {ROOT, patience, until} = require('./daemon.js');
const {group} = require('./suite.js');

const FILES = {'/': ['index.html', 'text/html; charset=utf-8'],
    '/chatd.css': ['chatd.css', 'text/css; charset=utf-8'],
    '/chatd.js': ['chatd.js', 'text/javascript; charset=utf-8']};

const source = (name) =>
    fs.readFileSync(path.join(ROOT, 'src/door/web', name));

/* One request: {status, headers, body}. */
function get(d, at, headers = {}, method = 'GET') {
	return new Promise((resolve, reject) => {
		http.request({host: '127.0.0.1', port: d.port, path: at, headers,
		    method, agent: false}, (answer) => {
			const parts = [];
			answer.on('data', (part) => parts.push(part));
			answer.on('error', reject);
			answer.on('end', () => resolve({status: answer.statusCode,
			    headers: answer.headers, body: Buffer.concat(parts)}));
		}).on('error', reject).end();
	});
}

/* A folder that is gone when body is done. */
async function folder(body) {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-web-'));
	fs.chmodSync(dir, 0o755);
	try {
		await body(dir);
	} finally {
		fs.rmSync(dir, {recursive: true});
	}
}

group('web', {workers: 2}, (test) => {
	test('the files are served as they are in the source', async (d) => {
		let bytes = 0;
		for (const [at, [name, type]] of Object.entries(FILES)) {
			const r = await get(d, at);
			assert.equal(r.status, 200);
			assert.equal(r.headers['content-type'], type);
			assert.equal(r.headers['content-encoding'], undefined);
			assert.equal(Number(r.headers['content-length']), r.body.length);
			assert.ok(r.body.equals(source(name)), `${name} differs`);
			bytes += r.body.length;
		}
		assert.ok(bytes < 56 * 1024, `${bytes} bytes are over 56 KiB`);
	});

	test('the content policy is strict', async (d) => {
		for (const at of Object.keys(FILES)) {
			const {headers} = await get(d, at);
			const policy = Object.fromEntries(
			    headers['content-security-policy'].split('; ').map((rule) =>
			    [rule.split(' ')[0], rule.split(' ').slice(1).join(' ')]));
			assert.deepEqual(policy, {'default-src': "'none'",
			    'script-src': "'self'", 'style-src': "'self'",
			    'connect-src': "'self'", 'img-src': "'self' data:",
			    'base-uri': "'none'", 'form-action': "'none'",
			    'frame-ancestors': "'none'"});
			assert.equal(headers['x-content-type-options'], 'nosniff');
			assert.equal(headers['cache-control'], 'no-cache');
			assert.equal(headers['referrer-policy'], 'no-referrer');
		}
	});

	test('nothing in the page needs what the policy forbids', () => {
		const html = source('index.html').toString();
		assert.doesNotMatch(html, / style=| on[a-z]+=|<style|<script>/);
		assert.doesNotMatch(source('chatd.js').toString(),
		    /innerHTML|insertAdjacentHTML|document\.write|\beval\b/);
	});

	test('gzip is sent to those who take it', async (d) => {
		for (const [at, [name]] of Object.entries(FILES)) {
			for (const wanted of ['gzip', 'br, gzip;q=0.5', 'GZIP']) {
				const r = await get(d, at, {'accept-encoding': wanted});
				assert.equal(r.headers['content-encoding'], 'gzip', wanted);
				assert.equal(r.headers.vary, 'Accept-Encoding');
				assert.ok(r.body.length < source(name).length);
				assert.ok(zlib.gunzipSync(r.body).equals(source(name)));
			}
			for (const unwanted of ['br', 'gzip;q=0', 'gzip; q=0.000', '',
			    'gzipped', '*'])
				assert.equal((await get(d, at, {'accept-encoding':
				    unwanted})).headers['content-encoding'], undefined,
				    unwanted);
		}
	});

	test('what has not changed is not sent again', async (d) => {
		const tags = new Set();
		for (const at of Object.keys(FILES))
			for (const accept of [{}, {'accept-encoding': 'gzip'}]) {
				const {headers: {etag}} = await get(d, at, accept);
				assert.match(etag, /^"[0-9a-f]{16}"$/);
				tags.add(etag);
				for (const seen of [etag, `W/${etag}`, '*', `"x", ${etag}`]) {
					const r = await get(d, at,
					    {...accept, 'if-none-match': seen});
					assert.equal(r.status, 304, seen);
					assert.equal(r.headers.etag, etag);
					assert.equal(r.body.length, 0);
				}
				const r = await get(d, at, {...accept,
				    'if-none-match': '"0123456789abcdef", W/"x"'});
				assert.equal(r.status, 200);
			}
		assert.equal(tags.size, 6);
		/* every worker makes the same tag of the same bytes */
		for (let i = 0; i < 16; i++)
			assert.ok(tags.has((await get(d, '/')).headers.etag));
	});

	test('other methods and paths', async (d) => {
		for (const method of ['POST', 'PUT', 'DELETE'])
			assert.equal((await get(d, '/', {}, method)).status, 405);
		for (const at of ['/index.html', '/chatd.cs', '/chatd.js/',
		    '//chatd.js', '/../chatd.js', '/%2e%2e/chatd.js'])
			assert.equal((await get(d, at)).status, 404, at);
		assert.equal((await get(d, '/?room=x')).status, 200);
	});
});

group('webroot', null, (test) => {
	const {Daemon} = require('./daemon.js');

	test('a folder replaces the files that it has', () =>
	    folder(async (dir) => {
		fs.writeFileSync(path.join(dir, 'index.html'), 'mine\n');
		fs.mkdirSync(path.join(dir, 'chatd.css'));
		fs.writeFileSync(path.join(dir, 'secret.txt'), 'no\n');
		const d = await Daemon.start({conf: `webroot ${dir}\n`});
		const r = await get(d, '/', {'accept-encoding': 'gzip'});
		assert.equal(r.body.toString(), 'mine\n');
		assert.equal(r.headers['content-encoding'], undefined);
		assert.match(r.headers['content-security-policy'], /default-src/);
		assert.equal((await get(d, '/', {'if-none-match':
		    r.headers.etag})).status, 304);
		for (const at of ['/chatd.css', '/chatd.js'])
			assert.ok((await get(d, at)).body.equals(source(at.slice(1))));
		assert.equal((await get(d, '/secret.txt')).status, 404);
		await d.logged(/chatd\.css: .*built in/);
		await d.stop();
	}));

	test('a file that is too large is not served', () =>
	    folder(async (dir) => {
		fs.writeFileSync(path.join(dir, 'chatd.js'),
		    Buffer.alloc(1024 * 1024 + 1));
		const d = await Daemon.start({conf: `webroot ${dir}\n`});
		await d.logged(/chatd\.js: File too large/);
		assert.ok((await get(d, '/chatd.js')).body.equals(
		    source('chatd.js')));
		await d.stop();
	}));

	test('an answer larger than the socket takes arrives whole', () =>
	    folder(async (dir) => {
		const large = Buffer.alloc(1024 * 1024);
		for (let i = 0; i < large.length; i += 4)
			large.writeUInt32LE(i, i);
		fs.writeFileSync(path.join(dir, 'chatd.js'), large);
		const d = await Daemon.start({conf: `webroot ${dir}\n`,
		    workers: 1});
		const all = await Promise.all(Array.from({length: 20}, () =>
		    get(d, '/chatd.js')));
		for (const r of all)
			assert.ok(r.body.equals(large));
		await d.clean();
		await d.stop();
	}));

	test('who does not read is dropped; others are not held up', () =>
	    folder(async (dir) => {
		fs.writeFileSync(path.join(dir, 'chatd.js'),
		    Buffer.alloc(1024 * 1024));
		const d = await Daemon.start({workers: 1,
		    conf: `webroot ${dir}\nhandshake-timeout 1s\n`});
		const lazy = [];
		for (let i = 0; i < 20; i++) {
			const socket = net.connect(d.port, '127.0.0.1');
			socket.on('error', () => {});
			socket.pause();
			socket.write('GET /chatd.js HTTP/1.1\r\nHost: localhost\r\n\r\n');
			lazy.push(socket);
		}
		try {
			const begin = Date.now();
			assert.equal((await get(d, '/')).status, 200);
			assert.ok(Date.now() - begin < 1000 * patience(), 'held up');
			const worker = d.workers.at(-1);
			await until('they are dropped', () =>
			    d.workers.every((pid) => sockets(pid, d.port) === 0), 6000);
			assert.ok(worker);
		} finally {
			lazy.forEach((socket) => socket.destroy());
		}
		await d.stop();
	}));
});

/* Connections to a port that a process has open. */
function sockets(pid, port) {
	const mine = new Set(fs.readdirSync(`/proc/${pid}/fd`).map((fd) => {
		try {
			return fs.readlinkSync(`/proc/${pid}/fd/${fd}`);
		} catch {
			return '';
		}
	}));
	const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
	return fs.readFileSync(`/proc/${pid}/net/tcp`, 'utf8').split('\n')
	    .map((line) => line.trim().split(/\s+/))
	    .filter((f) => f[1]?.endsWith(local) && f[3] !== '0A' &&
	    mine.has(`socket:[${f[9]}]`)).length;
}
