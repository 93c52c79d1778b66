/*
 * What a mistake is answered with: chatd -n and the start on a configuration,
 * chatctl on its words.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {CHATCTL, CHATD, Daemon, checkReports, freePort, run} = require('./daemon.js');
const {group} = require('./suite.js');

const ROOTS = process.getuid() === 0;
const KEY = '0123456789abcdef0123456789abcdef';

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-check-'));
process.on('exit', () => fs.rmSync(dir, {recursive: true, force: true}));

/* Writes the configuration; its path. */
function conf(text, mode = 0o600) {
	const file = path.join(dir, 'chatd.conf');
	fs.rmSync(file, {force: true});
	fs.writeFileSync(file, text);
	fs.chmodSync(file, mode);
	return file;
}

/* chatd -n on a configuration: what it says, and the status. */
async function check(text, status, words, mode) {
	const file = conf(text, mode);
	const r = await run(CHATD, ['-n', '-f', file]);
	checkReports(r.stderr);
	assert.equal(r.status, status, r.stderr);
	assert.match(r.stderr, words);
	return r.stderr;
}

/* A start must end with that status and those words. */
async function start(text, status, words) {
	const r = await run(CHATD, ['-d', '-w', '1', '-s',
	    path.join(dir, 'sock'), '-f', conf(text)]);
	checkReports(r.stderr);
	assert.equal(r.status, status, r.stderr);
	assert.match(r.stderr, words);
}

group('-n', null, (test) => {
	test('names the file that it read', async () => {
		const said = await check('workers 1\n', 0, /: OK$/m);
		assert.equal(said, path.join(dir, 'chatd.conf') + ': OK\n');
	});
	test('no file', async () => {
		if (fs.existsSync('/etc/chatd/chatd.conf'))
			return console.log('skip no file: there is one');
		const r = await run(CHATD, ['-n']);
		assert.deepEqual([r.status, r.stderr],
		    [0, 'no file: defaults, OK\n']);
	});
	test('lines that end in CR LF', () => check('workers 1\r\n\r\n' +
	    'origin {\r\n\t"http://a"\r\n}\r\n', 0, /: OK$/m));
	test('a misspelt key', () => check('\nlsiten *:1\n', 78,
	    /chatd\.conf:2: unknown key lsiten; did you mean listen\?$/m));
	test('keys against each other, with the line', async () => {
		await check('\njournal 1M\nmessage-size 256K\n', 78,
		    /chatd\.conf:3: message-size 262144 needs a journal/);
		await check('message-size 9M\n\n', 78,
		    /chatd\.conf:1: message-size/);
	});
	test('a name that does not resolve', () =>
	    check('listen localhost:1\n\nlisten no-such-host.invalid:8080\n', 78,
		/chatd\.conf:3: listen: cannot resolve no-such-host\.invalid/));
	if (ROOTS)
		test('a user that is not there', () =>
		    check('\nuser no-such-user\n', 78,
			/chatd\.conf:2: user: no such user: no-such-user/));
	test('folders that are not there', async () => {
		for (const [key, name] of [['webroot', 'none'],
		    ['control', 'none/sock'], ['pidfile', 'none/pid'],
		    ['log-file', 'none/log']])
			await check(`\n${key} ${dir}/${name}\n`, 78, new RegExp(
			    `chatd\\.conf:2: ${key}: ${dir}/none: No such`));
	});
	test('a file where a folder should be', () =>
	    check(`webroot ${dir}/chatd.conf\n`, 78, /is not a folder/));
	test('a log-file that is a link or a folder', async () => {
		fs.symlinkSync('/nowhere', path.join(dir, 'link'));
		await check(`log-file ${dir}/link\n`, 78, /symbolic link/);
		await check(`log-file ${dir}\n`, 78, /is a folder/);
		await check('log-file /dev/stdout\n', 0, /OK/);
	});
	test('all of it at once', async () => {
		const said = await check(`webroot ${dir}/none\n` +
		    `control ${dir}/none/sock\nlisten none.invalid:1\n`, 78,
		    /webroot/);
		assert.match(said, /control/);
		assert.match(said, /none\.invalid/);
		assert.doesNotMatch(said, /OK/);
	});
	test('keys that every user may read: a warning', async () => {
		for (const key of ['token-key', 'api-key']) {
			const said = await check(`${key} ${KEY}\n`, 0, new RegExp(
			    `^warning: .*chatd\\.conf:1: ${key}: every user of ` +
			    'this machine may read it \\(mode 644\\): chmod o= ' +
			    `${dir}/chatd\\.conf$`, 'm'), 0o644);
			assert.match(said, /: OK$/m);
			assert.doesNotMatch(said, new RegExp(KEY));
		}
		await check(`api-key ${KEY}\n`, 0, /may change it \(mode 666\)/,
		    0o666);
		for (const [text, mode] of [[`api-key ${KEY}\n`, 0o640],
		    ['workers 1\n', 0o644]])
			assert.doesNotMatch(await check(text, 0, /OK/, mode),
			    /warning/);
	});
	test('keys in another file: that one counts', async () => {
		fs.writeFileSync(path.join(dir, 'keys.conf'), `api-key ${KEY}\n`);
		fs.chmodSync(path.join(dir, 'keys.conf'), 0o604);
		await check('include keys.conf\n', 0,
		    /keys\.conf:1: api-key: .*mode 604.*chmod o= .*keys\.conf/);
	});
	test('keys without effect: a warning', async () => {
		await check('\ntoken-issuer a\ntoken-audience b\n', 0,
		    /^warning: .*conf:2: token-issuer: has no effect without a/m);
		await check('\ntoken-issuer a\ntoken-audience b\n', 0,
		    /^warning: .*conf:3: token-audience: has no effect/m);
		await check('insecure no\n', 0,
		    /^warning: token-key: there is none.*no client can come in$/m);
		assert.doesNotMatch(await check(`token-key ${KEY}\n` +
		    'token-issuer a\ninsecure no\n', 0, /OK/), /warning/);
	});
	test('weak keys', async () => {
		await check('token-key short\n', 78, /:1: token-key: it has 5 bytes/);
		await check('token-key "CHANGE-ME-TO-32-RANDOM-BYTES-OR-MORE"\n',
		    78, /:1: token-key: it is the one of the sample/);
	});
	test('insecure beside a public address', async () => {
		await check('listen *:1\n\ninsecure yes\n', 78,
		    /chatd\.conf:3: insecure yes: .* \*:1.*insecure public/);
		await check('listen *:1\ninsecure public\n', 0, /OK/);
		await check('listen 192.168.7.7:1\ninsecure yes\n', 0, /OK/);
	});
});

group('start', null, (test) => {
	test('what is dangerous is refused', async () => {
		await start('listen *:0\ninsecure yes\n', 78, /insecure public/);
		await start('token-key short\n', 78, /at least 32/);
		await start('origin https://a/\n', 78, /without a path/);
	});
	test('what is not there is told with its line', async () => {
		await start(`\nwebroot ${dir}/none\n`, 78, new RegExp(
		    `chatd\\.conf:2: webroot: ${dir}/none: No such`));
		/* a name server may answer later: the service is tried again */
		await start('\nlisten localhost:0\nlisten no-such-host.invalid:1\n',
		    1, /chatd\.conf:3: listen: cannot resolve no-such-host/);
	});
	test('keys that every user may read are told in the log', async () => {
		const d = await Daemon.start({workers: 1,
		    conf: `api-key ${KEY}\n`});
		const told = () => d.stderr.match(/api-key: every user .*/g);
		await d.logged(/api-key: every user .* \(mode 644\)/);
		fs.chmodSync(d.conf, 0o640);
		assert.equal((await d.ctl('reload')).status, 0);
		assert.equal(told().length, 1);
		fs.chmodSync(d.conf, 0o604);
		assert.equal((await d.ctl('reload')).status, 0);
		await d.logged(/api-key: every user .* \(mode 604\)/);
		await d.stop();
	});
	test('a reload does not make a public address insecure', async () => {
		const port = await freePort();
		const d = await Daemon.start({workers: 1, listen: false, port,
		    conf: `listen *:${port}\ninsecure public\n`});
		fs.writeFileSync(d.conf,
		    `listen localhost:${port}\ninsecure yes\n`);
		const r = await d.ctl('reload');
		assert.equal(r.status, 1);
		assert.match(r.stderr, /chatd\.conf:2: insecure yes: chatd listens at \*:\d+/);
		await d.stop();
	});
});

/* chatctl without a daemon: its words are judged before. */
async function words(args, pattern) {
	const r = await run(CHATCTL, ['-s', path.join(dir, 'none'), ...args]);
	checkReports(r.stderr);
	assert.equal(r.status, 2, r.stderr);
	assert.match(r.stderr, pattern);
	assert.match(r.stderr, /^usage: /m);
}

group('chatctl', null, (test) => {
	test('a command that is none is named', async () => {
		await words(['bogus'], /there is no command "bogus"$/m);
		await words(['relaod'], /"relaod"; did you mean reload\?/);
		await words(['show', 'worker'], /"worker"; did you mean workers\?/);
		await words(['show', 'x'], /show: there is nothing called "x"$/m);
		await words(['log', 'loud'], /log: there is nothing called "loud"/);
	});
	test('help tells what each command does, and needs no chatd', async () => {
		const ask = async (...args) => {
			const r = await run(CHATCTL, ['help', ...args]);
			checkReports(r.stderr);
			assert.equal(r.status, 0, r.stderr);
			return r.stdout;
		};
		const all = await ask();
		for (const usage of ['show workers', 'kick user [device]', 'say text',
		    'log verbose|brief', 'restart-worker number', 'stop', 'help [command]'])
			assert.ok(all.includes(`${usage}\n    `), usage);
		assert.ok(all.split('\n').every((line) => line.length <= 80));
		assert.equal(await ask('rebalance'), 'rebalance\n' +
		    '    Move connections from the workers that have most to those that have\n' +
		    '    least, until all have as many.\n');
		assert.equal((await ask('show')).match(/^show /gm).length, 11);
		await words(['help', 'shwo'], /no command "shwo"; did you mean show\?/);
	});
	test('too few and too many words are named', async () => {
		await words(['kick'], /kick: a word is missing/);
		await words(['say', 'hello', 'all'], /say: "all" is one word too/);
		await words(['reload', 'now'], /reload: "now" is one word too/);
		await words([], /^usage/);
	});
});
