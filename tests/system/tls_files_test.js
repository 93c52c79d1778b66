/*
 * TLS: the files that it needs. Certificates that end soon or have ended, OCSP
 * responses, certbot's layout, pairs that are refused, and a disk that hangs.
 */
'use strict';

const assert = require('node:assert/strict');
const {execFile, execFileSync} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const tls = require('node:tls');
const {group} = require('./suite.js');
const {Daemon, freePort, until} = require('./daemon.js');
const {certificate, pairLine, tlsDaemon, tlsStop} = require('./tls.js');

const ROOT = path.join(__dirname, '../..');
const DAY_S = 86400;

/* Builds what is preloaded, in a folder: its variables. */
function preloaded(dir, name, env) {
	const so = path.join(dir, `${name}.so`);
	if (!fs.existsSync(so))
		execFileSync('gcc', ['-D_GNU_SOURCE', '-shared', '-fPIC', '-o', so,
		    path.join(__dirname, `${name}.c`), '-ldl']);
	return {...process.env, ...env, LD_PRELOAD: so};
}

/* Runs openssl in a folder. */
function openssl(cwd, ...args) {
	const env = typeof args.at(-1) === 'object' ? args.pop() : process.env;
	return execFileSync('openssl', args, {cwd, env, encoding: 'latin1',
	    stdio: ['ignore', 'pipe', 'pipe']});
}

/* Runs a test with a folder. */
function inFolder(body) {
	return async () => {
		const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-tls-'));
		try {
			await body(dir);
		} finally {
			fs.rmSync(dir, {recursive: true, force: true});
		}
	};
}

/* Runs a test with a daemon and these pairs. */
function served(pairs, body, options = {}) {
	return async () => {
		const d = await tlsDaemon({workers: 1, ...options, pairs});
		try {
			await body(d);
		} catch (error) {
			await tlsStop(d, () => d.kill());
			throw error;
		}
		await tlsStop(d);
	};
}

/* The serial number of the certificate that clients see; what a server sends as
 * OCSP response with `ocsp`. */
function seen(d, name, ocsp = false) {
	return new Promise((resolve, reject) => {
		let response = null;
		const s = tls.connect({port: d.tlsPort, host: '127.0.0.1',
		    servername: name, rejectUnauthorized: false,
		    requestOCSP: ocsp}, () => {
			const serial = s.getPeerCertificate().serialNumber;
			s.destroy();
			resolve(ocsp ? response : serial);
		});
		s.on('OCSPResponse', (r) => response = r).on('error', reject);
	});
}

/* The serial number in a file. */
function serial(file) {
	return openssl('/', 'x509', '-in', file, '-noout', '-serial')
	    .trim().split('=')[1];
}

/* Lines of a log that have that. */
function lines(d, pattern) {
	return d.stderr.split('\n').filter((l) => pattern.test(l));
}

/* Runs chatd with a configuration: {status, out, ms}. */
function chatd(dir, conf, args = ['-n'], env = {}) {
	const file = path.join(dir, 'chatd.conf');
	const begin = Date.now();
	fs.writeFileSync(file, conf);
	return new Promise((resolve) => execFile(process.env.CHATD ??
	    path.join(ROOT, 'build/chatd'), ['-f', file, '-s',
	    path.join(dir, 'sock'), ...args], {timeout: 20000,
	    env: {...process.env, ...env}}, (error, out, err) => resolve({
		status: error ? error.code : 0, out: out + err,
		ms: Date.now() - begin})));
}

/* A certification authority in a folder: certificates and responses by it. */
function authority(dir) {
	const ca = certificate(dir, 'ca', {names: ['Authority']});
	let number = 10;
	return {
		make(name) {
			const pem = certificate(dir, name, {names: [name]});
			openssl(dir, 'req', '-new', '-key', pem.key, '-subj',
			    `/CN=${name}`, '-out', 'one.csr');
			fs.writeFileSync(path.join(dir, 'one.ext'),
			    `subjectAltName=DNS:${name}\n`);
			openssl(dir, 'x509', '-req', '-in', 'one.csr', '-CA',
			    ca.cert, '-CAkey', ca.key, '-set_serial',
			    String(number++), '-days', '30', '-extfile',
			    'one.ext', '-out', pem.cert);
			return pem;
		},
		/* A response about a certificate, into a file. */
		answer({cert}, file, {revoked = false, env = process.env} = {}) {
			const date = '261129000000Z', end = '361129000000Z';
			fs.writeFileSync(path.join(dir, 'index.txt'),
			    (revoked ? `R\t${end}\t${date}` : `V\t${end}\t`) +
			    `\t${serial(cert)}\tunknown\t/CN=x\n`);
			openssl(dir, 'ocsp', '-issuer', ca.cert, '-cert', cert,
			    '-reqout', 'request.der', '-no_nonce');
			openssl(dir, 'ocsp', '-index', 'index.txt', '-CA', ca.cert,
			    '-rsigner', ca.cert, '-rkey', ca.key, '-reqin',
			    'request.der', '-respout', file, '-ndays', '7', env);
			return file;
		}
	};
}

group('tls_files', null, (test) => {
	test('a certificate that ends soon', served((dir) => [
	    certificate(dir, 'long', {names: ['long.example'], days: 60}),
	    certificate(dir, 'soon', {names: ['soon.example'], days: 10})],
	async (d) => {
		const now = Date.now() / 1000;
		const soon = /soon\.pem: it expires on .* UTC, in \d+ days/;
		const all = await until('what is told of them', async () => {
			const c = await d.json('show', 'certificates');
			return c.length === 2 && c;
		});
		for (const [k, days] of [60, 10].entries()) {
			assert.equal(all[k].certificate, d.pem[k].cert);
			assert.ok(Math.abs(all[k].not_after_s - now -
			    days * DAY_S) < 100, JSON.stringify(all));
			assert.ok(Math.abs(all[k].left_s - days * DAY_S) < 100);
		}
		assert.equal((await d.json('show', 'stats'))
		    .certificate_not_after_s, all[1].not_after_s);
		/* whole days, in the second of their making one more */
		assert.match((await d.ctl('show', 'certificates')).stdout,
		    /^UNTIL\/UTC +DAYS CERTIFICATE\n20.* (59|60) .*long\.pem\n20.* (9|10) /);
		assert.equal(lines(d, soon).length, 1);
		await d.ctl('reload');
		assert.equal(lines(d, soon).length, 2);
		assert.equal(lines(d, /long\.pem: it expires/).length, 0);
		const n = await chatd(d.pemDir, fs.readFileSync(d.conf, 'utf8'));
		assert.equal(n.status, 0);
		assert.match(n.out, soon);
	}));

	test('one that has ended is served', served((dir) => [
	    certificate(dir, 'late', {days: 1, env: preloaded(dir,
		'former_time', {DAYS_AGO: '3'})})], async (d) => {
		assert.match(await seen(d, 'localhost'), /^[0-9A-F]+$/);
		const all = await until('what is told of it', async () => {
			const c = await d.json('show', 'certificates');
			return c.length === 1 && c;
		});
		assert.ok(all[0].left_s <= 0);
		await d.logged(/late\.pem: it has expired on/);
	}));

	test('responses of OCSP', inFolder(async (dir) => {
		const ca = authority(dir);
		const names = ['good', 'late', 'revoked', 'other', 'broken',
		    'missing'];
		const file = (name) => path.join(dir, `${name}.der`);
		const past = preloaded(dir, 'former_time', {DAYS_AGO: '8'});
		let conf = '', good;
		for (const name of names) {
			const pem = ca.make(`${name}.example`);
			if (name === 'good')
				good = pem;
			if (name === 'broken')
				fs.writeFileSync(file(name), 'nonsense');
			else if (name !== 'missing')
				ca.answer(name === 'other' ? good : pem, file(name), {
				    revoked: name === 'revoked',
				    env: name === 'late' ? past : process.env});
			conf += pairLine(pem).trimEnd() + ` ocsp "${file(name)}"\n`;
		}
		await served(() => [certificate(dir, 'first')], async (d) => {
			for (const name of names) {
				const r = await seen(d, `${name}.example`, true);
				if (name === 'good')
					assert.deepEqual(r, fs.readFileSync(file(name)));
				else
					assert.ok(!r?.length, name);
			}
			const s = execFileSync('openssl', ['s_client', '-status',
			    '-connect', `127.0.0.1:${d.tlsPort}`, '-servername',
			    'good.example'], {input: '', encoding: 'latin1',
			    stdio: ['pipe', 'pipe', 'ignore']});
			assert.match(s, /OCSP Response Status: successful/);
			assert.match(s, /Cert Status: good/);
			for (const why of [/late.*out of date, and is not sent/,
			    /revoked.*not sent: it says .* is revoked/,
			    /other.*not sent: it is about another certificate/,
			    /broken.*not sent: it is no OCSP response/,
			    /missing.*not sent: No such file/])
				assert.equal(lines(d, why).length, 1, String(why));
			assert.equal(lines(d, /good\.example/).length, 0);
		}, {conf})();
	}));

	test('etc/certbot.conf', inFolder(async (dir) => {
		const [redirect, port] = [await freePort(), await freePort()];
		const name = 'chat.example.org';
		const live = path.join(dir, 'letsencrypt/live', name);
		const archive = path.join(dir, 'letsencrypt/archive', name);
		fs.mkdirSync(live, {recursive: true});
		fs.mkdirSync(archive, {recursive: true});
		/* as certbot does: the next number, then the links */
		const renew = (n) => {
			const {cert, key} = certificate(dir, 'new', {names: [name]});
			for (const [from, to] of [[cert, 'fullchain'],
			    [key, 'privkey']]) {
				fs.renameSync(from, path.join(archive, `${to}${n}.pem`));
				fs.rmSync(path.join(live, `${to}.pem`), {force: true});
				fs.symlinkSync(`../../archive/${name}/${to}${n}.pem`,
				    path.join(live, `${to}.pem`));
			}
			return serial(path.join(live, 'fullchain.pem'));
		};
		fs.chmodSync(dir, 0o755);
		const first = renew(1);
		const acme = path.join(dir, 'acme/.well-known/acme-challenge');
		fs.mkdirSync(acme, {recursive: true});
		fs.writeFileSync(path.join(acme, 'token'), 'token.thumb');
		const conf = fs.readFileSync(path.join(ROOT, 'etc/certbot.conf'),
		    'utf8').replace(/^listen \*:80/m, `listen 127.0.0.1:${redirect}`)
		    .replace(/^listen \*:443/m, `listen 127.0.0.1:${port}`)
		    .replaceAll(/^([^#].*)\/etc\/letsencrypt/mg,
			`$1${dir}/letsencrypt`)
		    .replaceAll(/^([^#].* )\/etc\/letsencrypt/mg,
			`$1${dir}/letsencrypt`)
		    .replace(/^acme-challenge .*$/m, `acme-challenge ${dir}/acme`);
		const d = await Daemon.start({conf, listen: false, port,
		    workers: 1});
		d.tlsPort = port;
		try {
			assert.equal(await seen(d, name), first);
			assert.equal(execFileSync('curl', ['-sS',
			    `http://127.0.0.1:${redirect}/.well-known/` +
			    'acme-challenge/token'], {encoding: 'latin1'}),
			'token.thumb');
			const second = renew(2);
			const r = await d.ctl('reload');
			assert.equal(r.status, 0);
			assert.match(r.stdout, /certificates reloaded/);
			assert.notEqual(second, first);
			assert.equal(await seen(d, name), second);
		} finally {
			await d.stop();
		}
	}));

	test('pairs that are refused', inFolder(async (dir) => {
		const one = certificate(dir, 'one'), two = certificate(dir, 'two');
		const pipe = path.join(dir, 'pipe');
		const huge = path.join(dir, 'huge');
		execFileSync('mkfifo', [pipe]);
		fs.writeFileSync(huge, 'x'.repeat(65537));
		const listen = `listen 127.0.0.1:${await freePort()} tls\n`;
		for (const [cert, key, why] of [
		    [one.cert, two.key, 'one.pem: the key is another certif'],
		    [one.cert, '/none', 'key /none: No such file'],
		    ['/none', one.key, '/none: No such file'],
		    [one.key, one.key, 'one-key.pem: there is no certificate'],
		    [pipe, one.key, 'pipe: it is no regular file'],
		    [one.cert, pipe, 'pipe: it is no regular file'],
		    [dir, one.key, ': Is a directory'],
		    [huge, one.key, 'huge: File too large']]) {
			const conf = listen + pairLine({cert, key});
			for (const args of [['-n'], ['-d']]) {
				const r = await chatd(dir, conf, args);
				assert.notEqual(r.status, 0, why);
				assert.ok(r.out.includes('chatd.conf:2: certificate'),
				    r.out);
				assert.ok(r.out.includes(why), r.out);
			}
		}
	}));

	test('a disk that hangs', inFolder(async (dir) => {
		const one = certificate(dir, 'one'), slow = certificate(dir, 'slow');
		const env = preloaded(dir, 'slow_file', {SLOW_OPEN: slow.cert});
		const listen = `listen 127.0.0.1:${await freePort()} tls\n`;
		const starts = chatd(dir, listen + pairLine(slow), ['-d'], env);
		await served(() => [one], async (d) => {
			const first = await seen(d, 'localhost');
			fs.appendFileSync(d.conf, pairLine(slow));
			const r = await d.ctl('reload');
			assert.notEqual(r.status, 0);
			assert.match(r.stdout + r.stderr,
			    /certificates not reloaded: .*takes longer than 5 s/);
			assert.equal(await seen(d, 'localhost'), first);
		}, {env})();
		const r = await starts;
		assert.equal(r.status, 1, r.out);
		assert.match(r.out, /reading certificate takes longer than 5 s/);
		assert.ok(r.ms < 15000);
	}));
});
