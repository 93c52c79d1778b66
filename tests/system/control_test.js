/* chatctl: every command, the shapes of -j, exit codes. */
'use strict';

const assert = require('node:assert/strict');
const {execFileSync, spawn} = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const {group} = require('./suite.js');
const {CHATCTL, checkReports, patience, processLives, run, until} =
    require('./daemon.js');
const {Client} = require('./client.js');
const {Line} = require('./centrifugo.js');

/* Runs chatctl; the exit code must be that. */
async function ctl(d, status, ...args) {
	const r = await d.ctl(...args);
	checkReports(r.stderr);
	assert.equal(r.status, status, `chatctl ${args.join(' ')}: ` +
	    JSON.stringify(r));
	if (status !== 0) {
		assert.equal(r.stdout, '');
		assert.match(r.stderr, /\S/, 'a reason on stderr');
	}
	return r.stdout;
}

/* The object has exactly these keys. */
function keys(object, ...names) {
	assert.deepEqual(Object.keys(object).sort(), names.sort());
}

/* How many sockets a process has open. */
function sockets(pid) {
	return fs.readdirSync(`/proc/${pid}/fd`).filter((fd) => {
		try {
			return fs.readlinkSync(`/proc/${pid}/fd/${fd}`)
			    .startsWith('socket:');
		} catch {
			return false;
		}
	}).length;
}

/* A FIFO as [reader, writer], so that the writer blocks when it is full. */
function fifo(file) {
	execFileSync('mkfifo', [file]);
	return [fs.openSync(file, fs.constants.O_RDONLY |
	    fs.constants.O_NONBLOCK), fs.openSync(file, 'w')];
}

/* One character from a descriptor that does not wait, null if there is none. */
function readNow(fd) {
	const byte = Buffer.alloc(1);
	try {
		return fs.readSync(fd, byte) === 1 ? byte.toString() : null;
	} catch {
		return null;
	}
}

/*
 * chatctl by way of a socket that passes on that many bytes of the reply, or
 * all but so many if that is negative, and closes; `text` is that of the whole
 * reply.
 */
async function cut(d, bytes, ...args) {
	const file = path.join(d.dir, 'proxy.sock');
	let text;
	const server = net.createServer((near) => {
		const far = net.connect(d.socket);
		const reply = [];
		near.on('error', () => {});
		near.on('data', (data) => far.write(data));
		far.on('data', (data) => reply.push(data));
		far.on('end', () => {
			const all = Buffer.concat(reply);
			text = all.toString().slice(1, -1);
			near.end(all.subarray(0, bytes < 0 ?
			    all.length + bytes : bytes));
		});
	});
	await new Promise((resolve) => server.listen(file, resolve));
	try {
		return {...await run(CHATCTL, ['-s', file, ...args]), text};
	} finally {
		server.close();
	}
}

group('control', {conf: 'echo yes\n'}, (test) => {
	test('show workers', async (d) => {
		const all = await d.json('show', 'workers');
		assert.equal(all.length, 4);
		all.forEach((w, i) => {
			keys(w, 'slot', 'role', 'pid', 'generation', 'state',
			    'connections', 'opened', 'kept', 'uptime_s',
			    'delivered', 'relayed', 'writes', 'keeper', 'keepers',
			    'turn_max_us', 'cursor', 'behind');
			assert.equal(w.role, 'worker');
			assert.match(w.writes, /^(io_uring|sendmsg)$/);
			assert.equal(w.slot, i);
			assert.equal(w.keepers.length, 2);
			assert.equal(w.keeper, w.keepers[0]);
			for (const pid of w.keepers)
				assert.ok(processLives(pid), `keeper ${pid}`);
			assert.ok(processLives(w.pid), `pid ${w.pid}`);
			assert.ok(d.workers.includes(w.pid));
			assert.equal(w.state, 'running');
			assert.equal(w.connections, 0);
			for (const key of ['generation', 'uptime_s', 'delivered',
			    'relayed', 'cursor', 'behind'])
				assert.equal(typeof w[key], 'number', key);
		});
		const text = await ctl(d, 0, 'show', 'workers');
		for (const w of all)
			assert.ok(text.includes(String(w.pid)), text);
	});

	test('show processes', async (d) => {
		const workers = await d.json('show', 'workers');
		const all = await d.json('show', 'processes');
		const of = (kind, number) => all.filter((p) =>
		    p.kind === kind && p.number === number).map((p) => p.pid);
		for (const w of workers) {
			assert.deepEqual(of('worker', w.slot), [w.pid]);
			assert.deepEqual(of('keeper', w.slot), w.keepers);
		}
		assert.equal(all.length, 3 * workers.length);
		assert.ok(all.every((p) => p.state === 'running'));
	});

	test('show workers counts what is delivered', async (d) => {
		const sum = async () => (await d.json('show', 'workers'))
		    .reduce((n, w) => n + w.delivered, 0);
		const before = await sum();
		const all = await Promise.all(['a', 'b', 'c', 'd'].map((name) =>
		    Client.user(d.port, name)));
		all[0].text('hi');
		for (const c of all)
			await c.heard();
		await until('4 more delivered', async () =>
		    await sum() - before === 4);
		const counts = await d.balance();
		assert.equal(counts.reduce((a, b) => a + b), 4);
	});

	test('show users', async (d) => {
		assert.deepEqual(await d.json('show', 'users'), []);
		await Client.user(d.port, 'alice', 'a');
		await Client.user(d.port, 'alice', 'b');
		await Client.user(d.port, '\u00e4\\\u{1f600} x');
		const connections = await d.json('show', 'connections');
		const users = await d.json('show', 'users');
		assert.deepEqual(users.map((u) => u.user).sort(),
		    ['alice', '\u00e4\\\u{1f600} x']);
		for (const u of users) {
			keys(u, 'user', 'workers', 'connections');
			const own = connections.filter((c) => c.user === u.user);
			assert.equal(u.connections, own.length);
			assert.deepEqual([...u.workers].sort(),
			    [...new Set(own.map((c) => c.worker))].sort());
		}
		assert.match(await ctl(d, 0, 'show', 'users'), /alice/);
	});

	test('show connections', async (d) => {
		assert.deepEqual(await d.json('show', 'connections'), []);
		const c = await Client.user(d.port, 'alice', 'my phone');
		const b = await Client.user(d.port, 'bob');
		await Client.open(d.port, '/echo');
		const all = await d.json('show', 'connections');
		assert.equal(all.length, 3);
		for (const one of all) {
			keys(one, 'id', 'user', 'device', 'worker', 'peer', 'door',
			    'connected_s');
			assert.equal(typeof one.id, 'string');
			assert.ok([0, 1, 2, 3].includes(one.worker));
			assert.ok(one.connected_s >= 0 && one.connected_s < 20);
		}
		assert.equal(new Set(all.map((one) => one.id)).size, 3);
		const [alice] = all.filter((one) => one.user === 'alice');
		assert.equal(alice.device, 'my phone');
		assert.equal(alice.door, 'plain');
		assert.equal(alice.peer, `127.0.0.1:${c.socket.localPort}`);
		const [bob] = all.filter((one) => one.user === 'bob');
		assert.equal(bob.device, '');
		assert.equal(bob.peer, `127.0.0.1:${b.socket.localPort}`);
		const text = await ctl(d, 0, 'show', 'connections');
		assert.match(text, /alice/);
		assert.match(text, /my phone/);
	});

	test('show connections: ids as clients know them, in columns',
	    async (d) => {
		const l = await Line.connected(d, '?user=alice');
		await Client.user(d.port, 'bob');
		await Client.open(d.port, '/echo');
		const all = await d.json('show', 'connections');
		const [alice] = all.filter((c) => c.door === 'centrifugo');
		assert.equal(alice.id, l.welcome.connect.client);
		const lines = (await ctl(d, 0, 'show', 'connections'))
		    .split('\n').slice(0, -1);
		assert.equal(lines.length, 4);
		/* Where the table's columns begin, or end. */
		const at = (name) => lines[0].indexOf(name);
		const edge = at('SINCE/S') + 'SINCE/S'.length;
		for (const line of lines.slice(1)) {
			assert.match(line.slice(0, at('PEER')),
			    /^[0-9a-f]{16} +\d+ $/);
			assert.match(line.slice(at('PEER'), at('DOOR')),
			    /^127\.0\.0\.1:\d+ +$/);
			assert.match(line.slice(at('DOOR'), edge),
			    /^(plain|echo|centrifugo) +\d+$/);
			assert.match(line.slice(edge), /^( alice| bob| )$/);
			assert.equal(line.slice(0, 16), all.find((c) =>
			    line.includes(c.peer)).id);
		}
	});

	test('show connections, many of them', async (d) => {
		const all = await Promise.all(Array.from({length: 500}, (_, i) =>
		    Client.user(d.port, `u${i % 100}`, `d${i}`)));
		const begin = Date.now();
		const seen = await d.json('show', 'connections');
		const users = await d.json('show', 'users');
		assert.ok(Date.now() - begin < 3000 * patience());
		assert.equal(seen.length, all.length);
		assert.equal(new Set(seen.map((one) => one.device)).size, 500);
		assert.equal(users.length, 100);
		for (const u of users)
			assert.equal(u.connections, 5);
	});

	test('chatd does not wait for a slow reader of the output', async (d) => {
		const text = 'x'.repeat(25);
		await Promise.all(Array.from({length: 600}, (_, i) =>
		    Client.user(d.port, `u${i}${text}`, `d${i}${text}`)));
		const [reader, writer] = fifo(path.join(d.dir, 'fifo'));
		const child = spawn(CHATCTL, ['-s', d.socket, '-j', 'show',
		    'connections'], {stdio: ['ignore', writer, 'ignore']});
		const left = new Promise((resolve) => child.on('exit', resolve));
		fs.closeSync(writer);
		let pipe;
		try {
			const first = await until('chatctl writes', () =>
			    readNow(reader));
			/* The rest is more than a FIFO takes. */
			assert.equal(sockets(child.pid), 0, 'chatd waits');
			assert.equal(child.exitCode, null);
			pipe = new net.Socket({fd: reader, readable: true,
			    writable: false});
			let all = first;
			pipe.on('data', (data) => all += data);
			const end = new Promise((resolve) =>
			    pipe.on('end', resolve));
			assert.equal(await left, 0);
			await end;
			assert.ok(all.length > 80000);
			assert.equal(JSON.parse(all).length, 600);
		} finally {
			child.kill('SIGKILL');
			pipe?.destroy();
		}
	});

	test('an answer that was cut is told: 3', async (d) => {
		await Client.user(d.port, 'alice');
		for (const args of [['show', 'connections'],
		    ['-j', 'show', 'connections'], ['show', 'stats'],
		    ['kick', 'nobody'], ['log', 'brief']]) {
			/* "log" is answered by status and end mark alone. */
			for (const bytes of args[0] === 'log' ? [1] :
			    [1, 2, 10, -2, -1]) {
				const r = await cut(d, bytes, ...args);
				assert.equal(r.status, 3, JSON.stringify(r));
				assert.match(r.stderr,
				    /the answer is not complete/);
				assert.ok(r.text.startsWith(r.stdout));
			}
			const all = await cut(d, Infinity, ...args);
			assert.deepEqual([all.status, all.stdout, all.stderr],
			    args[0] === 'kick' ?
			    [1, '', `chatctl: ${all.text}\n`] :
			    [0, all.text, '']);
			const none = await cut(d, 0, ...args);
			assert.equal(none.status, 3);
			assert.match(none.stderr, /no answer/);
			assert.equal(none.stdout, '');
		}
	});

	test('show stats', async (d) => {
		const stats = await d.json('show', 'stats');
		assert.ok(!Array.isArray(stats));
		assert.ok(Object.keys(stats).length > 3);
		for (const [key, value] of Object.entries(stats))
			assert.equal(typeof value, 'number', key);
		assert.match(await ctl(d, 0, 'show', 'stats'), /\d/);
	});
	test('show stats: each counter means one thing', async (d) => {
		const before = await d.json('show', 'stats');
		const get = async (target, status) => {
			const c = await Client.connect(d.port);
			c.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
			assert.equal((await c.answer()).status, status);
			c.drop();
		};
		for (const target of ['/', '/chatd.js', '/health'])
			await get(target, 200);
		await (await Client.user(d.port, 'alice')).close();
		const good = await d.json('show', 'stats');
		assert.equal(good.refused, before.refused, 'pages are no refusals');
		assert.equal(good.accepted, before.accepted + 1);
		await get('/nothing', 404);
		await get('/ws?user=alice', 426);
		assert.equal((await d.json('show', 'stats')).refused,
		    before.refused + 2);
		await ctl(d, 0, 'restart-worker', '0');
		const renewed = await d.json('show', 'stats');
		assert.equal(renewed.respawns, before.respawns, 'nobody died');
		assert.equal(renewed.renewals, before.renewals + 1);
		const [{pid}] = await d.json('show', 'workers');
		process.kill(pid, 'SIGKILL');
		await until('another worker', async () => (await d.json('show',
		    'workers')).every((w) => w.pid !== pid &&
		    w.state === 'running'));
		const died = await d.json('show', 'stats');
		assert.equal(died.respawns, before.respawns + 1);
		assert.equal(died.renewals, renewed.renewals);
		await until('both keepers', async () => (await d.json('show',
		    'workers')).every((w) => w.keepers.every((k) => k > 0)));
	});
	test('drain off says that it has ended', async (d) => {
		assert.match(await ctl(d, 0, 'drain', 'off'), /there was no drain; 0/);
		assert.match(await ctl(d, 0, 'drain', '1'), /^0 connections are left/);
		assert.match(await ctl(d, 0, 'drain', 'off'),
		    /^draining has ended: clients may connect again; 0 conn/);
		assert.match(await ctl(d, 0, 'drain', 'off'), /there was no drain; 0/);
		assert.deepEqual(await d.json('drain', 'off'), {left: 0});
		await (await Client.user(d.port, 'alice')).close();
	});

	test('say', async (d) => {
		const all = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) =>
		    Client.user(d.port, name)));
		await ctl(d, 0, 'say', 'hello there');
		await ctl(d, 0, 'say', '/who \u00e4');
		await d.logged(/user \d+ said 11 bytes to the lobby/);
		assert.doesNotMatch(d.stderr, /hello there/);
		for (const c of all) {
			assert.equal(await c.heard(), '*server* says: hello there');
			assert.equal(await c.heard(), '*server* says: /who \u00e4');
			await c.quiet();
		}
	});
	test('say with nobody there', (d) => ctl(d, 0, 'say', 'hello'));

	test('kick somebody who is not there: 1', async (d) => {
		await ctl(d, 1, 'kick', 'nobody');
		const c = await Client.user(d.port, 'alice', 'phone');
		await ctl(d, 1, 'kick', 'alice', 'tablet');
		await ctl(d, 1, 'kick', 'ALICE');
		await c.quiet();
	});
	test('kick a name with a space', async (d) => {
		const c = await Client.user(d.port, 'bob smith');
		await ctl(d, 0, 'kick', 'bob smith');
		await c.closed(4001, 'kicked');
	});

	test('log verbose and brief', async (d) => {
		await ctl(d, 0, 'log', 'verbose');
		await ctl(d, 0, 'log', 'brief');
	});

	test('reload takes what has changed', async (d) => {
		fs.writeFileSync(d.conf, 'echo yes\nmessage-size 1K\n');
		await ctl(d, 0, 'reload');
		await until('the new limit', async () => {
			const c = await Client.user(d.port, 'alice');
			c.text('x'.repeat(2000));
			return (await c.frame()).opcode === 8;
		});
		fs.writeFileSync(d.conf, 'echo yes\n');
		await ctl(d, 0, 'reload');
		await until('the old limit', async () => {
			const c = await Client.user(d.port, 'alice');
			c.text('x'.repeat(2000));
			return (await c.frame()).opcode === 1;
		});
	});
	test('reload says what counts from now on, and what does not',
	    async (d) => {
		const reload = async (text) => {
			fs.writeFileSync(d.conf, text);
			return ctl(d, 0, 'reload');
		};
		assert.equal(await reload('echo yes\n'),
		    'reloaded: nothing has changed\n');
		assert.equal(await reload('echo no\nmessage-rate 5/s\njournal 2M\n' +
		    'io-uring no\n'),
		    'reloaded: message-rate, echo\n' +
		    'changed, but needs a restart to count: journal, io-uring\n');
		assert.equal(await reload('echo yes\n'),
		    'reloaded: message-rate, echo\n');
		await d.logged(/configuration reloaded: message-rate, echo$/);
	});
	test('reload of a bad file is refused: 1', async (d) => {
		fs.writeFileSync(d.conf, 'echo yes\n\nnonsense 5\n');
		await ctl(d, 1, 'reload');
		await d.logged(/chatd\.conf:3/);
		fs.writeFileSync(d.conf, 'echo yes\n');
		await ctl(d, 0, 'reload');
	});

	test('show config: each key, its value and where it is set', async (d) => {
		fs.writeFileSync(d.conf, 'echo yes\n\nmessage-rate 7/s burst 9\n' +
		    'origin "https://a.example" "https://b.example"\n' +
		    'token-key "0123456789abcdef0123456789abcdef"\n' +
		    'channel "a*" {\n\tsubscribe all\n}\nchannel "*" {\n' +
		    '\tsubscribe all\n\tpublish all\n}\ninsecure yes\n');
		await ctl(d, 0, 'reload');
		const all = await d.json('show', 'config');
		all.forEach((key) => keys(key, 'key', 'value', 'default', 'where',
		    'applies', 'about'));
		const by = Object.fromEntries(all.map((key) => [key.key, key]));
		const check = (key, value, where, usual) => assert.deepEqual(
		    [by[key].value, by[key].where, by[key].default],
		    [value, where, usual], key);
		check('echo', 'yes', `${d.conf}:1`, 'no');
		check('message-rate', '7/s burst 9', `${d.conf}:3`, 'off');
		check('origin', ['https://a.example', 'https://b.example'],
		    `${d.conf}:4`, null);
		check('token-key', 'set', `${d.conf}:5`, null);
		check('channel', ['a*', '*'], `${d.conf}:6`, null);
		check('api-key', null, null, null);
		check('ping-interval', '25s', null, '25s');
		check('workers', '4', '-w', '0');
		assert.equal(by.workers.applies, 'reload');
		assert.equal(by.journal.applies, 'restart');
		const table = (await ctl(d, 0, 'show', 'config')).split('\n');
		assert.equal(table.length, all.length + 2);
		assert.ok(table.every((line) => !line.includes('0123456789')));
		assert.match(table.find((line) => line.startsWith('echo ')),
		    /^echo +reload +no +\S+:1 +yes$/);
		assert.match(table.find((line) => line.startsWith('api-key ')),
		    /^api-key +reload +- +- +-$/);
		fs.writeFileSync(d.conf, 'echo yes\n');
		await ctl(d, 0, 'reload');
	});
	test('show channels: who is in which, and how far it is', async (d) => {
		const plain = await Client.open(d.port, '/ws?user=bob');
		const a = await Line.connected(d, '?user=ann');
		const b = await Line.connected(d, '?user=cy');
		const names = ['a1', 'a"2\u202e'];
		await a.ask('subscribe', {channel: names[0]});
		await b.ask('subscribe', {channel: names[0]});
		await b.ask('subscribe', {channel: names[1]});
		for (let n = 0; n < 3; n++)
			await b.ask('publish', {channel: names[0], data: n});
		const shown = await until('all are counted', async () => {
			const list = await d.json('show', 'channels');
			const found = list.find((c) => c.channel === names[0]);
			return found !== undefined && found.connections === 2 && list;
		});
		shown.forEach((c) => keys(c, 'channel', 'connections', 'workers',
		    'kept', 'history', 'offset', 'epoch'));
		const of = (name) => shown.find((c) => c.channel === name);
		assert.ok(of(names[0]).workers.length >= 1);
		assert.equal(of(names[1]).connections, 1);
		assert.match(of(names[0]).epoch, /^[0-9a-f]{8}$/);
		assert.ok(of('lobby').connections >= 1);
		assert.equal(of('lobby').history, 100);
		assert.deepEqual([of(names[0]).kept, of(names[1]).kept], [3, 0]);
		assert.ok(!shown.some((c) => c.channel.startsWith('#')));
		const table = await ctl(d, 0, 'show', 'channels');
		assert.match(table, /^CONNECTIONS WORKERS +HISTORY +OFFSET EPOCH +CHANNEL$/m);
		assert.match(table, /^ +2 [0-9,]+ +3 of 100 +3 [0-9a-f]{8} a1$/m);
		assert.match(table, /"a\\"2\\u\{202e\}"$/m);
		for (const client of [plain, a.client, b.client])
			client.drop();
	});

	for (const args of [[], ['show'], ['show', 'nothing'], ['nonsense'],
	    ['kick'], ['kick', 'a', 'b', 'c'], ['say'], ['log'], ['log', 'loud'],
	    ['reload', 'x'], ['-x'], ['stop', 'now'], ['show', 'users', 'x']])
		test(`usage: 2 for "${args.join(' ')}"`, (d) =>
		    ctl(d, 2, ...args));

	test('the socket is for owner and group', (d) => {
		assert.equal(fs.statSync(d.socket).mode & 0o7777, 0o660);
	});

	test('many at once', async (d) => {
		await Promise.all(Array.from({length: 10}, async () =>
		    assert.equal((await d.json('show', 'workers')).length, 4)));
	});

	test('clients that connect and say nothing harm nobody', async (d) => {
		const mute = await Promise.all(Array.from({length: 12}, () =>
		    new Promise((resolve, reject) => {
			const s = net.connect(d.socket, () => resolve(s));
			s.on('error', reject);
		})));
		mute.forEach((s) => s.on('error', () => {}));
		assert.equal((await d.json('show', 'workers')).length, 4);
		mute.slice(0, 4).forEach((s) => s.write('\0\xff{rubbish'));
		mute.slice(4, 8).forEach((s) => s.write('x'.repeat(100000)));
		assert.equal((await d.json('show', 'workers')).length, 4);
		mute.forEach((s) => s.destroy());
	});
});

group('orders', {workers: 1, conf: 'watchdog 60s\nworkers 1\n'}, (test) => {
	test('what no worker has done yet outlives an upgrade', async (d) => {
		const c = await Client.user(d.port, 'alice');
		const [w] = await d.json('show', 'workers');
		process.kill(w.pid, 'SIGSTOP');
		const said = ['one', 'two'].map((text) => d.ctl('say', text));
		await until('both are given', () =>
		    d.stderr.match(/said 3 bytes/g)?.length === 2);
		const upgraded = run(CHATCTL, ['-s', d.socket, 'upgrade'],
		    {limit: 60000});
		/* It is killed, since it does not retire. */
		await d.logged(/did not retire in time/, 20000);
		assert.equal((await upgraded).status, 0);
		for (const r of await Promise.all(said)) {
			assert.equal(r.status, 1);
			assert.match(r.stderr, /chatd is being upgraded/);
		}
		const heard = [await c.heard(), await c.heard()];
		assert.deepEqual(heard.sort(),
		    ['*server* says: one', '*server* says: two']);
		/* They are answered, and their numbers are not used again. */
		await ctl(d, 0, 'say', 'three');
		assert.equal(await c.heard(), '*server* says: three');
		await c.quiet();
	}, {limit: 60000});
});

group('stop', {}, (test) => {
	test('ends the daemon and says 1001', async (d) => {
		const c = await Client.user(d.port, 'alice');
		await ctl(d, 0, 'stop');
		await c.closed(1001);
		await d.stop(null);
	}, {ends: true});
});

group('no daemon', null, (test) => {
	test('3 when nobody answers', async () => {
		for (const args of [['show', 'workers'], ['stop'], ['reload'],
		    ['-j', 'show', 'users']]) {
			const r = await run(CHATCTL, ['-s', '/nonexistent/socket',
			    ...args]);
			assert.equal(r.status, 3, JSON.stringify(r));
			assert.match(r.stderr, /\/nonexistent\/socket/);
			assert.equal(r.stdout, '');
		}
	});
	test('2 before 3', async () => {
		const r = await run(CHATCTL, ['-s', '/nonexistent/socket',
		    'nonsense']);
		assert.equal(r.status, 2);
	});
});
