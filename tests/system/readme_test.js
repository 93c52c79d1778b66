/*
 * README's tutorial as printed: its programs and commands are cut out of the
 * text and run, with another port and nothing else changed.
 */
'use strict';

const assert = require('node:assert/strict');
const {spawn} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {CHATCTL, Daemon, ROOT, freePort, until} = require('./daemon.js');
const {group} = require('./suite.js');
const {browse, connected, say, shows, texts} = require('./page.js');

const SLOW = {limit: 60000};
const README = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8');
const TUTORIAL = fs.readFileSync(path.join(ROOT, 'etc/tutorial.conf'), 'utf8');

/* README's block of code that has that line in it. */
function block(line) {
	const found = README.split(/\n(?! {4}|\n)/).flatMap((part) =>
	    part.match(/(?:^|\n\n)((?:(?: {4,}.*)?\n)* {4,}.*)/g) ?? [])
	    .filter((text) => text.includes(line));
	assert.equal(found.length, 1, `${line}: ${found.length} blocks`);
	const lines = found[0].replace(/^\n+/, '').split('\n');
	const indent = Math.min(...lines.filter((l) => l.trim())
	    .map((l) => /^ */.exec(l)[0].length));
	return `${lines.map((l) => l.slice(indent)).join('\n')}\n`;
}

/* Runs a shell script; its output, and its status in `status`. */
function shell(d, text, cwd = d.dir) {
	return new Promise((resolve) => {
		const child = spawn('sh', ['-c', text], {cwd,
		    stdio: ['ignore', 'pipe', 'pipe']});
		let out = '';
		child.stdout.on('data', (piece) => out += piece);
		child.stderr.on('data', (piece) => out += piece);
		child.on('close', (status) => resolve({status, out}));
	});
}

/* A text with the daemon's port for the README's. */
function at(d, text) {
	return text.replaceAll('localhost:8080', `127.0.0.1:${d.port}`);
}

group('README', {workers: 2, conf: TUTORIAL}, (test) => {
	test('a program and a backend speak in the lobby', (d) =>
	    browse(async (open) => {
		const alice = await open('alice', d.port);
		fs.symlinkSync(path.join(ROOT, 'tests/node_modules'),
		    path.join(d.dir, 'node_modules'));
		fs.writeFileSync(path.join(d.dir, 'chat.mjs'),
		    at(d, block('import {Centrifuge}')));
		const robot = spawn(process.execPath, ['chat.mjs'],
		    {cwd: d.dir, stdio: ['ignore', 'pipe', 'inherit']});
		let out = '';
		robot.stdout.on('data', (piece) => out += piece);
		try {
			await until('it says who is there', () =>
			    /clients: \{/.test(out) && /alice/.test(out), 20000);
			await shows(alice, ['hello from a program']);
			const r = await shell(d, at(d, block('lunch is ready')));
			assert.match(r.out, /"offset":/);
			await shows(alice, ['hello from a program', 'lunch is ready']);
			await until('so does the program', () =>
			    /server \{ text: 'lunch is ready' \}/.test(out));
		} finally {
			robot.kill();
		}
	}), SLOW);

	test('only this daemon\'s workers are killed', async (d) => {
		const before = await d.json('show', 'workers');
		const command = block('awk').split('\n')
		    .find((l) => l.startsWith('kill')).replace('build/chatctl',
		    `${CHATCTL} -s ${d.socket}`);
		assert.equal((await shell(d, command)).out, '');
		await until('all are others', async () =>
		    (await d.json('show', 'workers')).every((w, i) =>
		    w.state === 'running' && w.pid !== before[i].pid));
	});
});

group('README, rules', {workers: 2, conf: `${TUTORIAL}
${block('token-key "')}`}, (test) => {
	test('a token of the shell opens the page and its room', (d) =>
	    browse(async (open) => {
		const r = await shell(d, at(d, block('openssl base64')));
		assert.equal(r.status, 0, r.out);
		const [, fragment] = /^http:\/\/127\.0\.0\.1:\d+\/(#\S+)$/m
		    .exec(r.out);
		const alice = await open('', d.port, {welcome: true, fragment});
		await connected(alice);
		assert.equal(await alice.textContent('#me'), 'alice');
		await alice.fill('#room', 'room:1');
		await alice.press('#room', 'Enter');
		await say(alice, 'in a room with rules');
		await shows(alice, ['in a room with rules']);
		assert.equal((await texts(alice)).length, 1);
		const bob = await open('bob', d.port,
		    {broken: true, alone: true});
		await bob.waitForFunction(() => /needs a token/.test(
		    document.querySelector('#status').textContent));
	}), SLOW);
});

group('README, the first minute', null, (test) => {
	test('after a restart the talk is there, and the page goes on', () =>
	    browse(async (open) => {
		const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-test-'));
		fs.chmodSync(folder, 0o777); /* the store's user is another one */
		const db = path.join(folder, 'chat.db');
		const options = {workers: 2, port: await freePort(),
		    conf: fs.readFileSync(path.join(ROOT, 'etc/run.conf'), 'utf8')
			.replace('@STORE@', db)};
		try {
			const d = await Daemon.start(options);
			const alice = await open('alice', d.port,
			    {broken: true});
			await connected(alice);
			await say(alice, 'before');
			await shows(alice, ['before']);
			await d.stop();
			const e = await Daemon.start(options);
			const bob = await open('bob', e.port);
			await connected(bob);
			await shows(bob, ['before']);
			await say(bob, 'after');
			await shows(alice, ['before', 'after']);
			const r = await shell(e, block('FROM publication')
			    .replace('build/chat.db', db));
			assert.match(r.out, /^\d+\|alice\|.*before/m);
			await alice.close();
			await bob.close();
			await e.stop();
		} finally {
			fs.rmSync(folder, {recursive: true, force: true});
		}
	}), SLOW);
});

group('README, over TLS', null, (test) => {
	test('a certificate that vouches for itself', async () => {
		const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-test-'));
		const port = await freePort();
		const here = (text) => text.replaceAll('$PWD/build', dir)
		    .replaceAll('build/', `${dir}/`)
		    .replaceAll('localhost:8443', `localhost:${port}`);
		const script = here(block('openssl req -x509'));
		const made = await shell({dir}, script.replace(/.*chatd -d.*/, ''));
		assert.equal(made.status, 0, made.out);
		const d = await Daemon.start({listen: false, port,
		    conf: fs.readFileSync(path.join(dir, 'tls.conf'), 'utf8')});
		const [curl] = block('curl --cacert').split('\n');
		const r = await shell({dir}, here(curl).replace('curl', 'curl -sS'));
		assert.deepEqual([r.status, r.out], [0, 'ok\n']);
		await d.stop();
		fs.rmSync(dir, {recursive: true});
	});
});
