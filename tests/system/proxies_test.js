/*
 * What others put in front of chatd or point at it, as Debian has it and with
 * the settings that it has by itself: haproxy's and nginx's checks and
 * proxying, monitors, downloaders.
 */
'use strict';

const assert = require('node:assert/strict');
const {spawn} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {answers, freePort, run, until} = require('./daemon.js');
const {Client, request} = require('./client.js');
const {group} = require('./suite.js');

const CHECK_HTTP = '/usr/lib/nagios/plugins/check_http';

/* Runs a server with a configuration for as long as body runs. */
async function serve(argv, name, text, port, body) {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-proxy-'));
	const conf = path.join(dir, name);
	let said = '', ended = false;
	fs.writeFileSync(conf, text.replaceAll('DIR', dir));
	const child = spawn(argv[0], argv.slice(1).map((arg) =>
	    arg.replaceAll('DIR', dir).replaceAll('CONF', conf)),
	    {stdio: ['ignore', 'pipe', 'pipe']});
	const gone = new Promise((resolve) => child.on('close', resolve));
	child.stdout.on('data', (data) => said += data);
	child.stderr.on('data', (data) => said += data);
	child.on('error', (error) => said += error);
	child.on('exit', () => ended = true);
	try {
		await until(`${argv[0]} is there`, () => {
			assert.ok(!ended, said);
			return answers(port);
		}, 10000);
		await body(() => said);
	} finally {
		child.kill('SIGTERM');
		await gone;
		fs.rmSync(dir, {recursive: true, force: true});
	}
}

/* haproxy before chatd, with those lines in its backend. */
async function haproxy(d, lines, body) {
	const port = await freePort();
	const stats = await freePort();
	await serve(['/usr/sbin/haproxy', '-db', '-f', 'CONF'], 'haproxy.cfg', `
defaults
	mode http
	timeout connect 5s
	timeout client 30s
	timeout server 30s
	timeout http-request 10s
	timeout tunnel 60s
frontend chat
	bind 127.0.0.1:${port}
	default_backend chatd
frontend state
	bind 127.0.0.1:${stats}
	stats enable
	stats uri /
backend chatd
	${lines.join('\n\t')}
	server chatd 127.0.0.1:${d.port} check inter 200ms
`, port, async () => body(port, async () => {
		let text;
		await until('the state of haproxy', async () => {
			text = await fetch(`http://127.0.0.1:${stats}/;csv`,
			    {headers: {connection: 'close'}})
			    .then((r) => r.text()).catch(() => '');
			return text.includes('chatd,chatd,');
		});
		const line = text.split('\n').find((l) =>
		    l.startsWith('chatd,chatd,')).split(',');
		/* status, of the last check (* while the next one is under way),
		 * its code */
		return {status: line[17], check: line[36].replace(/^\* /, ''),
		    code: line[37]};
	}));
}

/* nginx before chatd, with those lines at its location. */
async function nginx(d, lines, body) {
	const port = await freePort();
	await serve(['/usr/sbin/nginx', '-p', 'DIR', '-e', 'stderr', '-c',
	    'CONF'], 'nginx.conf', `
daemon off;
master_process off;
pid DIR/pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	server {
		listen 127.0.0.1:${port};
		location / {
			proxy_pass http://127.0.0.1:${d.port};
			${lines.join('\n\t\t\t')}
		}
	}
}
`, port, () => body(port));
}

/* The page, its files, /health, and what a monitor asks for. */
async function served(port) {
	const get = (at, method = 'GET') =>
	    fetch(`http://127.0.0.1:${port}${at}`, {method});
	assert.equal((await (await get('/health')).text()).trim(), 'ok');
	for (const at of ['/', '/chatd.js', '/chatd.css'])
		assert.ok((await (await get(at)).text()).length > 1000, at);
	const head = await get('/health', 'HEAD');
	assert.deepEqual([head.status, await head.text()], [200, '']);
	assert.equal((await get('/', 'HEAD')).status, 200);
	assert.equal((await get('/', 'OPTIONS')).status, 204);
}

/* A WebSocket goes through. */
async function upgraded(port) {
	const c = await Client.open(port, '/ws?user=a|b^c');
	c.text('hello');
	assert.equal(await c.heard(), 'a|b^c says: hello');
	await c.close();
}

const CHECKS = {
	'its default check': ['option httpchk'],
	'a check of /health': ['option httpchk GET /health'],
	'a check by HEAD': ['option httpchk HEAD /'],
	'a check by 1.1': ['option httpchk', 'http-check send meth GET ' +
	    'uri /health ver HTTP/1.1 hdr Host localhost']
};

group('haproxy', {workers: 2}, (test) => {
	for (const [name, lines] of Object.entries(CHECKS))
		test(`${name} finds chatd up`, (d) =>
		    haproxy(d, lines, async (port, state) => {
			await until('a check', async () =>
			    /^L7/.test((await state()).check));
			const seen = await state();
			assert.equal(seen.status, 'UP', JSON.stringify(seen));
			assert.match(seen.check, /^L7OK/);
			await served(port);
			await upgraded(port);
		}));
	test('sees a drain, and its end', (d) =>
	    haproxy(d, CHECKS['a check of /health'], async (port, state) => {
		await until('up', async () => (await state()).status === 'UP' &&
		    /^L7OK/.test((await state()).check));
		assert.equal((await d.ctl('drain')).status, 0);
		await until('down', async () => {
			const {status, code} = await state();
			return status === 'DOWN' && code === '503';
		});
		assert.equal((await d.ctl('drain', 'off')).status, 0);
		await until('up again', async () => (await state()).status === 'UP');
	}));
	test('as etc/haproxy.cfg checks', (d) => {
		const text = fs.readFileSync(path.join(__dirname,
		    '../../etc/haproxy.cfg'), 'utf8');
		const lines = text.split('\n').filter((l) =>
		    /^\s*(option httpchk|http-check)/.test(l)).map((l) => l.trim());
		assert.ok(lines.length > 0);
		return haproxy(d, lines, async (port, state) => {
			await until('up', async () =>
			    /^L7OK/.test((await state()).check));
		});
	});
});

group('nginx', {workers: 2, conf: 'api-key "a key of the tests, of 32 ' +
    'bytes and more"\n'}, (test) => {
	test('its default proxying, by HTTP/1.0', (d) =>
	    nginx(d, [], async (port) => {
		await served(port);
		/* the server API, too */
		const r = await fetch(`http://127.0.0.1:${port}/api/publish`,
		    {method: 'POST', body: '{"channel":"lobby","data":1}',
			headers: {'x-api-key':
			    'a key of the tests, of 32 bytes and more'}});
		assert.deepEqual([r.status, Object.keys(await r.json())],
		    [200, ['result']]);
		/* an upgrade is told what it lacks */
		const c = await Client.connect(port);
		c.write(request('/ws?user=alice'));
		const answer = await c.answer();
		assert.equal(answer.status, 505);
		assert.match(answer.body, /proxy_http_version 1\.1/);
	}));
	test('with the lines for an upgrade', (d) =>
	    nginx(d, ['proxy_http_version 1.1;',
		'proxy_set_header Host $http_host;',
		'proxy_set_header Upgrade $http_upgrade;',
		'proxy_set_header Connection upgrade;'], async (port) => {
		await served(port);
		await upgraded(port);
	}));
});

group('monitors and tools', {workers: 2}, (test) => {
	const at = (d, target) => `http://127.0.0.1:${d.port}${target}`;

	test('curl -I', async (d) => {
		for (const version of ['--http1.1', '--http1.0']) {
			const r = await run('curl', ['-sSI', '-m', '5', version,
			    at(d, '/health')]);
			assert.equal(r.status, 0, r.stderr);
			assert.match(r.stdout, /^HTTP\/1\.1 200 OK\r\n/);
		}
	});
	test('wget --spider', async (d) => {
		for (const target of ['/', '/health']) {
			const r = await run('wget', ['--spider', '-T', '5', '-t', '1',
			    at(d, target)]);
			assert.equal(r.status, 0, r.stderr);
		}
	});
	test('check_http, by its address and by a name', async (d) => {
		for (const more of [[], ['-H', 'chat.example'],
		    ['-j', 'HEAD']]) {
			const r = await run(CHECK_HTTP, ['-I', '127.0.0.1', '-p',
			    String(d.port), '-u', '/health', '-t', '5', ...more]);
			assert.equal(r.status, 0, r.stdout + r.stderr);
			assert.match(r.stdout, /^HTTP OK/);
		}
	});
	test('ab, with and without keep-alive', async (d) => {
		for (const more of [[], ['-k'], ['-i']]) {
			const r = await run('ab', ['-q', '-n', '50', '-c', '5', '-s',
			    '5', ...more, at(d, '/health')]);
			assert.equal(r.status, 0, r.stderr);
			assert.match(r.stdout, /Complete requests: +50\n/);
			assert.match(r.stdout, /Failed requests: +0\n/);
			assert.doesNotMatch(r.stdout, /Non-2xx/);
		}
	});
	test('keepalived\'s HTTP/1.0 with a Host', async (d) => {
		const c = await Client.connect(d.port);
		c.write('GET /health HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\n' +
		    'Host: 127.0.0.1\r\n\r\n');
		assert.equal((await c.answer()).status, 200);
		await c.eof();
	});
});
