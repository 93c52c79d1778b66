/*
 * TLS: clients that others wrote talk over it: npm ws, curl, openssl s_client,
 * in both versions and all suites; what is older, or not ours, is refused.
 */
'use strict';

const assert = require('node:assert/strict');
const {execFile, spawn} = require('node:child_process');
const {X509Certificate} = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const tls = require('node:tls');
const {group} = require('./suite.js');
const {until} = require('./daemon.js');
const {certificate, tlsDaemon, tlsStop, wss} = require('./tls.js');

const SUITES_13 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256'];
const SUITES_12 = ['AES128-GCM-SHA256', 'AES256-GCM-SHA384',
    'CHACHA20-POLY1305'];

/* Runs a command: {status, out}. */
function run(file, ...args) {
	return new Promise((resolve) => {
		const c = execFile(file, args, {timeout: 20000,
		    encoding: 'latin1', maxBuffer: 1e8}, (error, out, err) =>
			resolve({status: error ? error.code ?? 1 : 0,
			    out: out + err}));
		c.stdin.end();
	});
}

/* A client that hears lines. */
function client(d, query, options) {
	const ws = wss(d, query, options), c = {ws, lines: [], closed: null};
	ws.on('message', (data) => c.lines.push(data.toString()));
	ws.on('close', (code) => c.closed = code);
	ws.on('error', (error) => c.error = error.message);
	c.open = new Promise((resolve) => {
		ws.on('open', () => resolve(true));
		ws.on('close', () => resolve(false));
	});
	return c;
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

group('tls', null, (test) => {
	test('chat over both versions and all suites', served({
	    pairs: (dir) => [certificate(dir, 'ec'),
		certificate(dir, 'rsa', {rsa: true})]}, async (d) => {
		const ways = [
		    ...SUITES_13.map((ciphers) => ({ciphers,
			minVersion: 'TLSv1.3'})),
		    ...SUITES_12.map((s) => ({ciphers: `ECDHE-ECDSA-${s}`,
			maxVersion: 'TLSv1.2'})),
		    ...SUITES_12.map((s) => ({ciphers: `ECDHE-RSA-${s}`,
			rejectUnauthorized: false, maxVersion: 'TLSv1.2'}))];
		const all = ways.map((w, k) => client(d, `?user=u${k}`, w));
		for (const [k, c] of all.entries())
			assert.ok(await c.open, `${ways[k].ciphers}: ${c.error}`);
		for (const [k, c] of all.entries()) {
			c.lines.length = 0;
			assert.equal(c.ws._socket.getCipher().standardName !==
			    undefined, true);
			c.ws.send(`hello ${k}${'x'.repeat(20000 * (k % 2))}`);
		}
		await until('all hear all', () => all.every((c) =>
		    c.lines.filter((l) => /says: hello/.test(l)).length >=
		    all.length));
		for (const c of all)
			c.ws.close(1000);
		await until('all have ended', () => all.every((c) =>
		    c.closed === 1000));
	}));

	test('curl and openssl', served({}, async (d) => {
		const url = `https://localhost:${d.tlsPort}/`;
		const to = ['--cacert', d.pem[0].cert, '--resolve',
		    `localhost:${d.tlsPort}:127.0.0.1`, '-sS'];
		for (const version of ['--tlsv1.3', '--tls-max=1.2']) {
			const [v, ...more] = version.split('=');
			const r = await run('curl', ...to, v, ...more, url);
			assert.equal(r.status, 0, r.out);
			assert.match(r.out, /<!doctype html>/i);
		}
		const health = await run('curl', ...to, url + 'health',
		    url + 'health', url + 'health');
		assert.equal(health.status, 0, health.out);
		const s = await run('openssl', 's_client', '-connect',
		    `127.0.0.1:${d.tlsPort}`, '-alpn', 'http/1.1');
		assert.match(s.out, /ALPN protocol: http\/1\.1/);
	}));

	test('what is older, or not ours, is refused', served({
	    conf: 'tls-strict-sni yes\n'}, async (d) => {
		const alert = async (number, ...args) => {
			const named = args.some((a) => /servername/.test(a)) ?
			    [] : ['-servername', 'localhost'];
			const r = await run('openssl', 's_client', '-brief',
			    '-connect', `127.0.0.1:${d.tlsPort}`, ...named,
			    ...args);
			const said = /SSL alert number (\d+)/.exec(r.out)?.[1];
			assert.equal(Number(said ?? -1), number, args + r.out);
		};
		const OLD = ['-cipher', 'ALL@SECLEVEL=0'];
		await alert(-1);
		await alert(70, '-tls1', ...OLD); /* protocol_version */
		await alert(70, '-tls1_1', ...OLD);
		await alert(40, '-tls1_2', '-cipher', 'AES128-SHA');
		await alert(40, '-tls1_2', '-cipher', 'ECDHE-RSA-AES128-SHA256');
		await alert(40, '-tls1_3', '-groups', 'P-521');
		await alert(120, '-alpn', 'h2'); /* no_application_protocol */
		await alert(120, '-alpn', 'h2', '-tls1_2');
		await alert(-1, '-alpn', 'h2,http/1.1');
		await alert(112, '-servername', 'else'); /* unrecognized_name */
		await alert(112, '-noservername');
		/* a master secret that is not the extended one */
		const old = await run('gnutls-cli', '-p', `${d.tlsPort}`,
		    '--sni-hostname', 'localhost', '--no-ca-verification',
		    '--priority', 'NORMAL:-VERS-ALL:+VERS-TLS1.2:' +
		    '%NO_SESSION_HASH', '127.0.0.1');
		assert.match(old.out, /alert \[40\]/);
		const plain = await run('curl', '-sS',
		    `http://127.0.0.1:${d.tlsPort}/`);
		assert.notEqual(plain.status, 0);
	}));

	test('sslscan finds nothing', served({
	    pairs: (dir) => [certificate(dir, 'ec'),
		certificate(dir, 'rsa', {rsa: true})]}, async (d) => {
		const {out, status} = await run('sslscan', '--no-colour',
		    `127.0.0.1:${d.tlsPort}`);
		assert.equal(status, 0, out);
		for (const old of ['SSLv2', 'SSLv3', 'TLSv1\\.0', 'TLSv1\\.1'])
			assert.match(out, new RegExp(`^${old} +disabled$`, 'm'));
		assert.match(out, /^TLSv1\.3 +enabled$/m);
		assert.match(out, /^Session renegotiation not supported$/m);
		assert.match(out, /^TLSv1\.3 not vulnerable to heartbleed$/m);
		const ciphers = out.match(/^(Preferred|Accepted).*$/mg);
		assert.deepEqual(ciphers.map((l) => l.split(/ +/)[4]), SUITES_13);
		assert.deepEqual(out.match(/^TLSv1\.3 .* bits .*[\d)]$/mg)
		    .map((l) => l.split(/ +/)[3]),
		['secp256r1', 'secp384r1', 'x25519']);
	}));

	test('a handshake that takes too long is cancelled, and counted', async () => {
		const d = await tlsDaemon({workers: 1, conf: 'log verbose\n' +
		    'handshake-timeout 1s\ntls-handshakers 1\n'});
		const said = (bytes) => new Promise((resolve, reject) => {
			const got = [];
			const s = net.connect(d.tlsPort, '127.0.0.1', () =>
				s.write(bytes));
			s.on('data', (b) => got.push(b));
			s.on('error', reject);
			s.on('close', () => resolve(
			    Buffer.concat(got).toString('hex')));
		});
		const hello = Buffer.from('160301020001000100', 'hex');
		const got = await Promise.all([said(hello), said('')]);
		await tlsStop(d);
		assert.deepEqual(got, ['1503030002015a15030300020100', '']);
		assert.match(d.stderr, new RegExp('handshakes: 0 done, 0 failed, ' +
		    '0 whose clients left, 2 too late'));
	});

	test('the certificate is that of the name, and of the kind that the ' +
	    'client can use', served({pairs: (dir) => [
	    certificate(dir, 'one', {names: ['localhost', 'a.example']}),
	    certificate(dir, 'two', {names: ['a.example'], rsa: true}),
	    certificate(dir, 'three', {names: ['*.b.example']})]},
	async (d) => {
		const [one, two, three] = d.pem.map((p) => new X509Certificate(
		    fs.readFileSync(p.cert)).serialNumber);
		const shown = (servername, more = {}) =>
		    new Promise((resolve, reject) => {
			const s = tls.connect({port: d.tlsPort,
			    host: '127.0.0.1', rejectUnauthorized: false,
			    servername, ...more});
			s.on('error', reject);
			s.on('secureConnect', () => {
				resolve(s.getPeerCertificate().serialNumber);
				s.destroy();
			});
		});
		const old = {maxVersion: 'TLSv1.2'};
		const rsa = {sigalgs: 'rsa_pss_rsae_sha256'};
		for (const [serial, ...how] of [
		    [one, ''], [one, 'else.example'], [one, 'a.example'],
		    [one, 'A.EXAMPLE'], [three, 'x.b.example'],
		    [one, 'x.y.b.example'], [one, 'b.example'],
		    [two, 'a.example', rsa], [two, 'a.example', {...rsa, ...old}],
		    [two, 'a.example', {...old,
			ciphers: 'ECDHE-RSA-CHACHA20-POLY1305'}]])
			assert.equal(await shown(...how), serial,
			    JSON.stringify(how));
	}));

	test('a session is resumed, by whichever process', served({},
	    async (d) => {
		const once = (session) => new Promise((resolve, reject) => {
			let ticket = null;
			const s = tls.connect({port: d.tlsPort, host: '127.0.0.1',
			    rejectUnauthorized: false, session});
			s.on('session', (t) => ticket = t);
			s.on('secureConnect', () => s.write(
			    'GET /health HTTP/1.1\r\nHost: localhost\r\n' +
			    'Connection: close\r\n\r\n'));
			s.on('error', reject);
			s.on('data', () => {});
			s.on('end', () => resolve(
			    {resumed: s.isSessionReused(), ticket}));
		});
		let last = await once();
		assert.ok(!last.resumed && last.ticket);
		for (let k = 0; k < 6; k++) {
			last = await once(last.ticket);
			assert.ok(last.resumed && last.ticket, `the ${k}th`);
		}
	}));

	test('changes of keys count as messages', served({
	    conf: 'message-rate 1/s burst 5\n'}, async (d) => {
		const c = spawn('openssl', ['s_client', '-connect',
		    `127.0.0.1:${d.tlsPort}`, '-tls1_3']);
		let out = '';
		for (const from of [c.stdout, c.stderr])
			from.on('data', (b) => out += b.toString('latin1'));
		await until('it has shaken hands', () => /Verify return/.test(out));
		/* one write each: a line that begins with k is a command */
		c.stdin.write('GET /ws?user=u HTTP/1.1\r\nHost: localhost\r\n' +
		    'Upgrade: websocket\r\nConnection: Upgrade\r\n' +
		    'Sec-WebSocket-Version: 13\r\n' +
		    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
		await until('it is open', () => /101 Switching/.test(out));
		for (let k = 1; !/message rate/.test(out); k++) {
			assert.ok(k <= 10, 'it is not closed');
			const n = out.split('KEYUPDATE').length;
			c.stdin.write('k\n');
			await until('it was sent', () =>
			    out.split('KEYUPDATE').length > n ||
			    /message rate/.test(out));
		}
		assert.ok(out.split('KEYUPDATE').length > 5);
		c.kill();
	}));
});
