/* The daemon: options, exit status, signals, files, identity. */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {spawn} = require('node:child_process');
const {group} = require('./suite.js');
const {CHATCTL, CHATD, Daemon, ENV, answers, checkReports, freePort, patience,
    processChildren, processLives, processStat, processTitle, run, until} =
    require('./daemon.js');
const {Client, request} = require('./client.js');

const ROOT = process.getuid() === 0;
const STRANGER = 61397; /* a user id that nobody has */

/* A scratch folder that is removed when the test is over. */
async function scratch(body) {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-test-'));
	try {
		return await body(dir);
	} finally {
		fs.rmSync(dir, {recursive: true, force: true});
	}
}

/* Runs chatd to its end; checks exit status and what stderr says. */
async function chatd(status, stderr, ...args) {
	const r = await run(CHATD, args);
	checkReports(r.stderr);
	assert.equal(r.status, status, JSON.stringify(r));
	assert.match(r.stderr, stderr);
	return r;
}

/* chatd -n with a configuration of that text. */
function checked(text, status, stderr, ...args) {
	return scratch((dir) => {
		const file = path.join(dir, 'chatd.conf');
		fs.writeFileSync(file, text);
		return chatd(status, stderr, '-n', '-f', file, ...args);
	});
}

group('options', null, (test) => {
	test('-V', async () => {
		const r = await run(CHATD, ['-V']);
		assert.deepEqual([r.status, r.stdout, r.stderr],
		    [0, 'chatd 0.1.0\n', '']);
	});
	test('-n, a good file', () => checked('message-size 64K\n', 0, /(?:)/));
	test('-n, an empty file', () => checked('', 0, /(?:)/));
	for (const [text, line] of [['echo yes\nnonsense 1\n', 2],
	    ['message-size 64Q\n', 1], ['\n\nidle-timeout soon\n', 3],
	    ['echo maybe\n', 1], ['watchdog\n', 1], ['listen "nonsense"\n', 1],
	    ['workers 65\n', 1], ['message-rate 5\n', 1],
	    ['origin https\n"\n', 1], ['log-file "x\n', 1]])
		test(`78 for ${JSON.stringify(text)}`, async () => {
			const r = await checked(text, 78,
			    new RegExp(`chatd\\.conf:${line}: \\S`));
			assert.equal(r.stdout, '');
		});
	test('78 for a file that cannot be read', () =>
	    chatd(78, /\/nonexistent\/chatd\.conf/, '-n', '-f',
		'/nonexistent/chatd.conf'));
	test('78 without -n too', () =>
	    scratch((dir) => {
		const file = path.join(dir, 'chatd.conf');
		fs.writeFileSync(file, 'nonsense\n');
		return chatd(78, /chatd\.conf:1: /, '-d', '-f', file, '-s',
		    path.join(dir, 'sock'));
	    }));
	for (const args of [['-x'], ['-w', '65'], ['-w', '-1'], ['-w', 'two'],
	    ['-w', ''], ['-l', ''], ['-l', 'localhost'], ['-l', 'localhost:x'],
	    ['-l', 'localhost:65536'], ['extra'], ['-f']])
		test(`2 for ${args.join(' ')}`, () => chatd(2, /\S/, ...args));
});

group('second start', {args: []}, (test) => {
	test('says which address is taken', async (d) => {
		await chatd(1, new RegExp(`127\\.0\\.0\\.1:${d.port}`), '-d', '-w',
		    '1', '-l', `127.0.0.1:${d.port}`, '-s',
		    path.join(d.dir, 'other.sock'));
	});
	test('does not take the control socket away', async (d) => {
		await chatd(1, new RegExp(d.socket.replace(/\W/g, '\\$&')), '-d',
		    '-w', '1', '-l', `127.0.0.1:${await freePort()}`, '-s',
		    d.socket);
		assert.equal((await d.json('show', 'workers')).length, 4);
	});
	test('says who holds the pidfile', () => scratch(async (dir) => {
		const pidfile = path.join(dir, 'chatd.pid');
		const d = await Daemon.start({args: ['-p', pidfile], workers: 1});
		assert.equal(fs.readFileSync(pidfile, 'utf8').trim(),
		    String(d.pid));
		await chatd(1, new RegExp(`\\b${d.pid}\\b`), '-d', '-w', '1',
		    '-l', `127.0.0.1:${await freePort()}`, '-s',
		    path.join(dir, 'other.sock'), '-p', pidfile);
		assert.equal(fs.readFileSync(pidfile, 'utf8').trim(),
		    String(d.pid));
		await d.stop();
		assert.ok(!fs.existsSync(pidfile), 'pidfile removed');
	}));
	test('a stale pidfile and a stale socket are no hindrance', () =>
	    scratch(async (dir) => {
		const pidfile = path.join(dir, 'chatd.pid');
		fs.writeFileSync(pidfile, '1\n');
		const d = await Daemon.start({args: ['-p', pidfile], workers: 1});
		const {dir: own, socket} = d;
		d.dir = path.join(dir, 'none');
		await d.kill();
		assert.ok(fs.existsSync(socket));
		await chatd(0, /(?:)/, '-n', '-s', socket);
		const again = await Daemon.start({args: ['-p', pidfile, '-s',
		    socket], workers: 1});
		again.socket = socket;
		await again.clean();
		await again.stop();
		fs.rmSync(own, {recursive: true, force: true});
	    }));
});

group('running', {conf: 'workers 3\n'}, (test) => {
	test('titles', (d) => {
		assert.equal(processTitle(d.pid), 'chatd: master');
		assert.deepEqual(d.workers.map(processTitle).sort(),
		    [...[0, 0, 1, 1, 2, 2, 3, 3].map((n) => `chatd: keeper ${n}`),
		    'chatd: log',
		    ...[0, 1, 2, 3].map((n) => `chatd: worker ${n}`)]);
	});
	test('the log says ready, and for how many connections', async (d) => {
		await d.logged(RegExp('\\bready: page http://127\\.0\\.0\\.1:' +
		    `${d.port}/, clients ws://127\\.0\\.0\\.1:${d.port}/ws$`, 'm'));
		await d.logged(/\d[\d,]* connections/);
		await d.logged(/io_uring/);
	});
	test('workers are not root', (d) => {
		for (const pid of d.workers) {
			const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
			const ids = /^Uid:\s+(.*)$/m.exec(status)[1].split(/\s+/);
			const groups = /^Gid:\s+(.*)$/m.exec(status)[1].split(/\s+/);
			if (ROOT)
				for (const id of [...ids, ...groups])
					assert.notEqual(id, '0', status);
			assert.equal(new Set(ids).size, 1);
		}
	});
	test('TCP_NODELAY', async (d) => {
		/* Two small answers at once must not wait for our ACK. */
		const c = await Client.user(d.port, 'alice');
		let least = Infinity;
		for (let i = 0; i < 20; i++) {
			const begin = performance.now();
			c.text('/help');
			c.text('/who');
			await c.heard();
			await c.heard();
			least = Math.min(least, performance.now() - begin);
		}
		assert.ok(least < 40, `${least} ms at best`);
	});
});

group('addresses', null, (test) => {
	test('-l repeats; port on all addresses', async () => {
		const [one, two] = [await freePort(), await freePort()];
		const e = await Daemon.start({listen: false, port: one,
		    conf: 'insecure public\n', workers: 1, args: ['-l', `localhost:${one}`, '-l',
		    `*:${two}`]});
		assert.ok(await answers(two));
		if (fs.existsSync('/proc/net/if_inet6') &&
		    /00000001 /.test(fs.readFileSync('/proc/net/if_inet6'))) {
			assert.ok(await answers(one, '::1'), '::1');
			assert.ok(await answers(two, '::1'), '::1');
		}
		for (const port of [one, two]) {
			const c = await Client.user(port, 'alice');
			await c.close();
		}
		await e.clean();
		await e.stop();
	});
	test('listen in the file, the command line wins', async () => {
		const [one, two] = [await freePort(), await freePort()];
		const conf = `listen "127.0.0.1:${one}"\nworkers 2\n`;
		const e = await Daemon.start({listen: false, port: one, conf,
		    args: ['-w', '0'], workers: 2});
		await e.stop();
		const f = await Daemon.start({port: two, conf, workers: 1});
		assert.deepEqual(f.workers.map(processTitle).sort(),
		    ['chatd: keeper 0', 'chatd: keeper 0', 'chatd: log',
		    'chatd: worker 0']);
		assert.equal(await answers(one), false);
		await f.stop();
	});
});

group('signals', {conf: 'echo yes\n'}, (test) => {
	test('INT is TERM', async (d) => {
		const c = await Client.user(d.port, 'alice');
		process.kill(d.pid, 'SIGINT');
		await c.closed(1001);
		await d.stop(null);
	}, {ends: true});
	test('TERM twice', async (d) => {
		await Client.user(d.port, 'alice');
		process.kill(d.pid, 'SIGTERM');
		process.kill(d.pid, 'SIGTERM');
		await d.stop(null);
	}, {ends: true});
	test('TERM with 200 clients of which some do not read', async (d) => {
		const all = await Promise.all(Array.from({length: 200}, (_, i) =>
		    Client.user(d.port, `u${i}`)));
		all.slice(0, 50).forEach((c) => c.socket.pause());
		await d.stop();
	}, {ends: true});
	test('HUP, a good file: no connection is touched', async (d) => {
		const [a, b] = await Promise.all([Client.user(d.port, 'alice'),
		    Client.user(d.port, 'bob')]);
		fs.writeFileSync(d.conf, 'message-size 100\necho no\n');
		process.kill(d.pid, 'SIGHUP');
		await until('/echo gone', async () => {
			const c = await Client.connect(d.port);
			c.write(request('/echo'));
			const {status} = await c.head();
			c.drop();
			return status === 404;
		});
		a.text('still here');
		assert.equal(await b.heard(), 'alice says: still here');
		await a.heard();
		let f;
		do { /* until its worker knows, too */
			a.text('x'.repeat(101));
			f = await a.frame();
		} while (f.opcode === 1);
		assert.deepEqual([f.opcode, f.payload.readUInt16BE(0)],
		    [8, 1009]);
		b.text('me too');
		while (await b.heard() !== 'bob says: me too')
			;
		fs.writeFileSync(d.conf, 'echo yes\n');
		process.kill(d.pid, 'SIGHUP');
		await until('/echo back', async () => {
			const c = await Client.connect(d.port);
			c.write(request('/echo'));
			const {status} = await c.head();
			c.drop();
			return status === 101;
		});
	});
	test('HUP, a bad file: the old one stays, and it is logged', async (d) => {
		const c = await Client.user(d.port, 'alice');
		fs.writeFileSync(d.conf, 'message-size 10\nnonsense\n');
		process.kill(d.pid, 'SIGHUP');
		await d.logged(/chatd\.conf:2: /);
		c.text('x'.repeat(100));
		assert.equal(await c.heard(), 'alice says: ' + 'x'.repeat(100));
		const e = await Client.open(d.port, '/echo');
		await e.close();
		fs.writeFileSync(d.conf, 'echo yes\n');
	});
	test('HUP, what needs a restart is logged', async (d) => {
		fs.writeFileSync(d.conf, 'echo yes\nconnections 77\n');
		process.kill(d.pid, 'SIGHUP');
		await d.logged(/connections.*restart|restart.*connections/);
		fs.writeFileSync(d.conf, 'echo yes\n');
		process.kill(d.pid, 'SIGHUP');
	});
	test('PIPE does not kill it', async (d) => {
		process.kill(d.pid, 'SIGPIPE');
		await d.json('show', 'workers');
	});
	test('QUIT without clients', (d) => d.stop('SIGQUIT'), {ends: true});
	test('QUIT waits until it is empty', async (d) => {
		const [a, b] = await Promise.all([Client.user(d.port, 'alice'),
		    Client.user(d.port, 'bob')]);
		process.kill(d.pid, 'SIGQUIT');
		await until('no new connections', async () =>
		    !await answers(d.port));
		a.text('last words');
		assert.equal(await b.heard(), 'alice says: last words');
		await a.heard();
		assert.ok(!d.end);
		await a.close();
		await b.quiet();
		await b.close();
		await d.stop(null);
	}, {ends: true});
});

group('drain', {conf: 'drain-timeout 1s\n'}, (test) => {
	test('QUIT leaves after drain-timeout with 1001', async (d) => {
		const c = await Client.user(d.port, 'alice');
		const begin = Date.now();
		process.kill(d.pid, 'SIGQUIT');
		await c.closed(1001);
		const ms = Date.now() - begin;
		assert.ok(ms >= 900 && ms < 4000 * patience(), `after ${ms} ms`);
		await d.stop(null);
	}, {ends: true});
});

group('log file', null, (test) => {
	test('USR1 reopens it', () => scratch(async (dir) => {
		if (ROOT)
			fs.chmodSync(dir, 0o755);
		const log = path.join(dir, 'chatd.log');
		const d = await Daemon.start({conf: `log-file "${log}"\nlog verbose\n`});
		const has = (file, pattern) => until(`${pattern} in ${file}`, () =>
		    fs.existsSync(file) &&
		    pattern.test(fs.readFileSync(file, 'utf8')));
		await has(log, /ready/);
		const a = await Client.user(d.port, 'alice');
		await has(log, /alice/);
		fs.renameSync(log, log + '.1');
		process.kill(d.pid, 'SIGUSR1');
		await until('a new file', () => fs.existsSync(log));
		/* Every worker writes to the new one. */
		await until('all workers in the new file', async () => {
			const all = await Promise.all(Array.from({length: 8},
			    (_, i) => Client.user(d.port, `n${i}`)));
			await Promise.all(all.map((c) => c.close()));
			const text = fs.readFileSync(log, 'utf8');
			return [0, 1, 2, 3].every((n) =>
			    text.includes(`worker ${n}`));
		});
		const old = fs.readFileSync(log + '.1', 'utf8');
		const b = await Client.user(d.port, 'berta');
		await has(log, /berta/);
		assert.equal(fs.readFileSync(log + '.1', 'utf8'), old);
		await a.close();
		await b.close();
		await d.clean();
		await d.stop();
	}));
});

const LISTEN = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
	print(s.recv(4096).decode(), flush=True)
`;

group('sd_notify', null, (test) => {
	test('READY=1, and not before', () => scratch(async (dir) => {
		const name = path.join(dir, 'notify');
		const peer = spawn('/usr/bin/python3', ['-c', LISTEN, name],
		    {stdio: ['ignore', 'pipe', 'inherit']});
		let said = '';
		peer.stdout.on('data', (data) => said += data);
		try {
			await until('a notify socket', () => /bound/.test(said));
			const d = await Daemon.start({env: {NOTIFY_SOCKET: name},
			    workers: 1});
			await until('READY=1', () => /^READY=1$/m.test(said));
			process.kill(d.pid, 'SIGTERM');
			await until('STOPPING=1', () => /^STOPPING=1$/m.test(said));
			await d.stop(null);
			assert.equal(said.match(/^READY=1$/mg).length, 1, said);
		} finally {
			peer.kill('SIGKILL');
		}
	}));
});

/* Starts chatd without -d; it must return at once, when it serves. */
async function background(dir, options, pidfile) {
	const port = await freePort();
	const r = await run(CHATD, ['-w', '2', '-l', `127.0.0.1:${port}`,
	    ...options.args], {env: {...ENV, ...options.env}, ...options.user});
	assert.equal(r.status, 0, JSON.stringify(r));
	checkReports(r.stderr);
	assert.ok(await answers(port), 'it serves when the command returns');
	const pid = Number(fs.readFileSync(pidfile, 'utf8'));
	const family = [pid, ...processChildren(pid)];
	try {
		assert.equal(family.length, 2 + 2 * 3,
		    'master, log, workers, two keepers each');
		assert.equal(processTitle(pid), 'chatd: master');
		const {parent} = processStat(pid);
		assert.notEqual(parent, process.pid);
		for (const fd of [0, 1, 2])
			assert.equal(fs.readlinkSync(`/proc/${pid}/fd/${fd}`),
			    '/dev/null');
		assert.equal(fs.readlinkSync(`/proc/${pid}/cwd`), '/');
		const c = await Client.user(port, 'alice');
		c.text('hi');
		assert.equal(await c.heard(), 'alice says: hi');
		const stop = await run(CHATCTL, [...options.ctl, 'stop'],
		    {env: {...ENV, ...options.env}, ...options.user});
		assert.equal(stop.status, 0, JSON.stringify(stop));
		await c.closed(1001);
		await until('no process left', () => !family.some(processLives),
		    6000);
		assert.ok(!fs.existsSync(pidfile));
	} finally {
		for (const p of family)
			if (processLives(p))
				process.kill(p, 'SIGKILL');
	}
}

/* Starts chatd without -d where /dev/log is ours: in a mount namespace of its
 * own. */
async function syslogged(dir) {
	const port = await freePort();
	const dev = path.join(dir, 'dev'), log = path.join(dev, 'log');
	const ctl = path.join(dir, 'control.sock');
	const pidfile = path.join(dir, 'pid');
	let peer, said = '', pid = 0;
	fs.mkdirSync(dev);
	const listen = async () => {
		peer?.kill('SIGKILL');
		fs.rmSync(log, {force: true});
		said = '';
		peer = spawn('/usr/bin/python3', ['-c', LISTEN, log],
		    {stdio: ['ignore', 'pipe', 'inherit']});
		peer.stdout.on('data', (data) => said += data);
		await until('a socket', () => /bound/.test(said));
		fs.chmodSync(log, 0o666);
	};
	const told = (pattern) => until(`${pattern} in syslog`, () =>
	    pattern.test(said)).catch((error) => {
		throw new Error(`${error.message}: ${said.slice(-2000)}`);
	});
	/* Somebody comes, says something, and leaves. */
	const visit = async (name) => {
		const c = await Client.user(port, name);
		c.text('hello');
		assert.equal(await c.heard(), `${name} says: hello`);
		await c.close();
	};
	try {
		await listen();
		const r = await run('unshare', ['--mount', 'sh', '-ec', `
		    cd "$1"
		    for node in null zero full random urandom; do
			    touch $node
			    mount --bind /dev/$node $node
		    done
		    mount --rbind . /dev
		    shift
		    exec "$@"`, 'sh', dev, CHATD, '-v', '-w', '2', '-l',
		    `127.0.0.1:${port}`, '-s', ctl, '-p', pidfile]);
		assert.equal(r.status, 0, JSON.stringify(r));
		pid = Number(fs.readFileSync(pidfile, 'utf8'));
		/* Facility daemon, level info; the time as everywhere. */
		await told(/^<30>\w{3} [ \d]\d [\d:]{8} chatd\[\d+\]: master: ready: page http:.*\/ws$/m);
		await visit('alice');
		await told(/^<31>.* chatd\[\d+\]: worker \d: debug: alice joined$/m);
		const [w] = JSON.parse((await run(CHATCTL, ['-s', ctl, '-j', 'show',
		    'workers'])).stdout);
		process.kill(w.pid, 'SIGKILL');
		await told(new RegExp('^<27>.* master: error: worker 0 ' +
		    `\\(pid ${w.pid}\\) died of SIGKILL`, 'm'));
		/* Another one in its place. */
		await listen();
		await visit('bob');
		await told(/: worker \d: debug: bob joined$/m);
		/* One that does not read: nobody waits for it, nothing is lost. */
		process.kill(peer.pid, 'SIGSTOP');
		const before = JSON.parse((await run(CHATCTL, ['-s', ctl, '-j',
		    'show', 'workers'])).stdout);
		for (let i = 0; i < 20; i++)
			await visit(`carol${i}`);
		const after = JSON.parse((await run(CHATCTL, ['-s', ctl, '-j',
		    'show', 'workers'])).stdout);
		assert.deepEqual(after.map((v) => v.pid), before.map((v) => v.pid));
		process.kill(peer.pid, 'SIGCONT');
		await told(/carol0 joined/);
		await visit('dave');
		await told(/carol19 left/);
		assert.doesNotMatch(said, /lines were lost/);
		await told(/: worker \d: debug: dave joined$/m);
	} finally {
		peer?.kill('SIGKILL');
		const family = pid ? processChildren(pid) : [];
		if (pid)
			await run(CHATCTL, ['-s', ctl, 'stop']);
		await until('no process left', () => ![pid, ...family]
		    .some((p) => p && processLives(p)), 6000)
		    .catch((error) => {
			for (const p of [pid, ...family])
				if (processLives(p))
					process.kill(p, 'SIGKILL');
			throw error;
		    });
	}
}

group('background', null, (test) => {
	test('with -s and -p', () => scratch((dir) =>
	    background(dir, {args: ['-s', path.join(dir, 'c.sock'), '-p',
		path.join(dir, 'c.pid')], ctl: ['-s', path.join(dir, 'c.sock')]},
	    path.join(dir, 'c.pid'))));

	if (ROOT)
		test('syslog, also one that stops and starts again', () =>
		    scratch(syslogged), {limit: 60000});

	const user = ROOT ? {uid: STRANGER, gid: STRANGER} : {};
	const uid = ROOT ? STRANGER : process.getuid();
	test('not root: pidfile and socket in XDG_RUNTIME_DIR', () =>
	    scratch(async (dir) => {
		if (ROOT)
			fs.chownSync(dir, uid, uid);
		await background(dir, {args: [], ctl: [], user,
		    env: {XDG_RUNTIME_DIR: dir}}, path.join(dir, 'chatd.pid'));
	    }));
	if (ROOT)
		test('not root: pidfile and socket in /tmp/chatd-UID', async () => {
			const dir = `/tmp/chatd-${uid}`;
			fs.rmSync(dir, {recursive: true, force: true});
			try {
				await background(dir, {args: [], ctl: [], user,
				    env: {XDG_RUNTIME_DIR: ''}},
				    path.join(dir, 'chatd.pid'));
				assert.equal(fs.statSync(dir).mode & 0o777, 0o700);
			} finally {
				fs.rmSync(dir, {recursive: true, force: true});
			}
		});
	test('a start that fails says so and returns 1', () =>
	    scratch(async (dir) => {
		const port = await freePort();
		const server = require('node:net').createServer();
		await new Promise((resolve) =>
		    server.listen(port, '127.0.0.1', resolve));
		try {
			await chatd(1, new RegExp(`:${port}`), '-w', '1', '-l',
			    `127.0.0.1:${port}`, '-s', path.join(dir, 's'), '-p',
			    path.join(dir, 'p'));
			assert.ok(!fs.existsSync(path.join(dir, 'p')));
		} finally {
			server.close();
		}
	    }));
});
