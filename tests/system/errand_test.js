/*
 * What people ask of the database: how it stands, copies of it, what it has of
 * one user, whether a configuration fits it, and the configurations that are
 * installed and run with it.
 */
'use strict';

const assert = require('node:assert/strict');
const {spawn} = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const {Client} = require('./client.js');
const {CHATCTL, CHATD, Daemon, ROOT, processDescriptors, processLives,
    processTitled, run, until} = require('./daemon.js');
const {group} = require('./suite.js');

/* A folder that the store's user may write to, root or not. */
const DIR = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-test-'));
fs.chmodSync(DIR, 0o777);
process.on('exit', () => fs.rmSync(DIR, {recursive: true, force: true}));

const DB = path.join(DIR, 'chat.db');
const COPIES = path.join(DIR, 'copies');
fs.mkdirSync(COPIES);
fs.chmodSync(COPIES, 0o1777);
const LOBBY = `channel lobby {
	subscribe all
	publish subscribers
	history 100
	store yes
}
`;
const CONF = `store "${DB}"
store-backup "${COPIES}"
store-search yes
${LOBBY}`;

/* What a database answers. */
async function sql(file, text) {
	const r = await run('sqlite3', ['-readonly', file, text]);
	assert.equal(r.status, 0, r.stderr);
	return r.stdout.trim();
}

/* Waits until both processes are there, which are not before clients are served,
 * and notes the normal state anew. */
async function serving(d) {
	await until('it is ready', async () =>
	    (await d.json('store')).state === 'ok');
	await until('so is the one that reads', async () =>
	    (await d.json('show', 'processes')).some((p) =>
	    p.kind === 'store-read' && p.state === 'running'));
	d.descriptors = processDescriptors(d.pid);
}

/* Waits until so many rows are in the database. */
function rows(d, n) {
	return until(`${n} rows`, async () =>
	    (await d.json('store')).rows >= n);
}

/* A user who says some lines in the lobby. */
async function talk(d, user, lines) {
	const c = await Client.connect(d.port);
	await c.open(`/ws?user=${user}`);
	for (const line of lines) {
		c.text(line);
		await until('it comes back', async () =>
		    await c.heard() === `${user} says: ${line}`);
	}
	await c.close();
}

group('store', {conf: CONF, workers: 2}, (test) => {
	test('how it stands', async (d) => {
		await serving(d);
		await d.logged(/store \/.*chat\.db: the journal holds \d+ /);
		await talk(d, 'alice', ['one', 'two "quoted"', 'thr\u00e9e']);
		await talk(d, 'bob', ['hello']);
		await rows(d, 4);
		const s = await d.json('store');
		assert.equal(s.reason, '');
		assert.equal(s.path, DB);
		assert.ok(s.bytes >= 4096 && s.commits > 0, JSON.stringify(s));
		assert.ok(s.commit_ms.p50 <= s.commit_ms.p99 &&
		    s.commit_ms.p99 <= s.commit_ms.max, JSON.stringify(s));
		assert.equal(s.holes, 0);
		await until('all is written', async () =>
		    (await d.json('store')).behind === 0);
		assert.match((await d.ctl('store')).stdout,
		    /^state +ok\nstate_s +\d+\npath +\S+\nrows +4\n/);
	});

	test('a copy, while it is written', async (d) => {
		const r = await d.json('backup');
		assert.equal(path.dirname(r.path), COPIES);
		assert.equal(fs.statSync(r.path).size, r.bytes);
		assert.equal(fs.statSync(r.path).mode & 0o077, 0);
		assert.equal(await sql(r.path, 'PRAGMA quick_check;' +
		    'SELECT count(*) FROM publication WHERE format < 3;' +
		    'PRAGMA user_version'), 'ok\n4\n1');
		const again = await d.ctl('backup');
		assert.match(again.stdout, /chat-\d{8}T\d{6}\.\d{3}Z\.db: \d+ /);
		assert.equal(fs.readdirSync(COPIES).length, 2);
		await until('its process has ended', () =>
		    processTitled(d.pid, /store-task/).length === 0);
	});

	test('a copy that nobody waits for any more leaves nothing', async (d) => {
		const had = fs.readdirSync(COPIES).length;
		const text = Buffer.from('text\0backup\0');
		const head = Buffer.alloc(4);
		head.writeUInt32LE(text.length);
		const c = net.connect(d.socket);
		await new Promise((resolve) => c.write(
		    Buffer.concat([head, text]), resolve));
		c.destroy();
		await until('it was asked for', () =>
		    d.stderr.split('asks for backup').length === 4);
		await until('its process has ended', () =>
		    processTitled(d.pid, /store-task/).length === 0);
		for (const name of fs.readdirSync(COPIES).slice(had))
			assert.match(name, /^chat-.*Z\.db$/);
	});

	test('no copy where others could put a file of theirs', async (d) => {
		const part = path.join(COPIES, 'chat.part');
		const other = path.join(DIR, 'other');
		const had = fs.readdirSync(COPIES).length;
		fs.chmodSync(COPIES, 0o777);
		const r = await d.ctl('backup');
		assert.equal(r.status, 1);
		assert.match(r.stderr, /every user may write .*: chmod o-w/);
		fs.chmodSync(COPIES, 0o1777);
		/* a link that is there is not followed */
		fs.writeFileSync(other, '');
		fs.chmodSync(other, 0o666);
		fs.symlinkSync(other, part);
		await d.ctl('backup');
		assert.equal(fs.statSync(other).size, 0);
		fs.rmSync(part, {force: true});
		assert.equal((await d.ctl('backup')).status, 0);
		assert.ok(fs.readdirSync(COPIES).length > had);
	});

	test('what is stored of a user', async (d) => {
		const r = await d.ctl('export', 'alice');
		assert.equal(r.status, 0, r.stderr);
		const all = r.stdout.trim().split('\n').map((l) => JSON.parse(l));
		assert.deepEqual(all.filter((l) => l.kind === 'message')
		    .map(({channel, text}) => ({channel, text})),
		    ['one', 'two "quoted"', 'thr\u00e9e']
		    .map((text) => ({channel: 'lobby', text})));
		assert.ok(all.every((l) => l.kind !== 'message' ||
		    Math.abs(l.time - Date.now()) < 600000));
		assert.ok(!r.stdout.includes('hello'));
		const none = await d.ctl('export', 'mallory');
		assert.equal(none.status, 1);
		assert.match(none.stderr, /nothing is stored of mallory/);
	});

	test('who else may not', async (d) => {
		if (process.getuid() !== 0)
			return;
		/* the socket's group may give orders, and read nothing */
		fs.chmodSync(d.dir, 0o755);
		fs.chmodSync(d.socket, 0o666);
		for (const what of ['export', 'erase']) {
			const r = await run(CHATCTL, ['-s', d.socket, what, 'alice'],
			    {uid: 12345, gid: 12345});
			assert.equal(r.status, 1, r.stdout);
			assert.match(r.stderr, /only root/);
			assert.equal(r.stdout, '');
		}
		fs.chmodSync(d.socket, 0o660);
	});

	test('a program may read it meanwhile, as its manual shows', async (d) => {
		const page = fs.readFileSync(
		    path.join(ROOT, 'man/chatd-store.5'), 'utf8');
		const shown = page.slice(page.indexOf('.Sh EXAMPLES'),
		    page.indexOf('.Sh DIAGNOSTICS'))
		    .split('.Bd -literal').slice(1)
		    .map((t) => t.slice(t.indexOf('\n') + 1, t.indexOf('\n.Ed')));
		assert.ok(shown.length >= 6);
		for (const text of shown) {
			const r = text.startsWith('sqlite3') ?
			    await run('sh', ['-c', text.replaceAll(
				'/var/lib/chatd/chat.db', DB)]) :
			    await run('sqlite3', ['-readonly', DB, text]);
			assert.equal(r.status, 0, `${text}\n${r.stderr}`);
			if (/lobby|DESC LIMIT/.test(text))
				assert.notEqual(r.stdout, '', text);
		}
	});

	test('one that keeps a transaction open makes nobody wait', async (d) => {
		const other = spawn('sqlite3', ['-readonly', DB],
		    {stdio: ['pipe', 'pipe', 'inherit']});
		let said = '';
		other.stdout.on('data', (data) => said += data);
		try {
			other.stdin.write('BEGIN; SELECT count(*) FROM mark;\n');
			await until('it reads', () => said !== '');
			const before = (await d.json('store')).rows;
			await talk(d, 'alice', ['meanwhile']);
			await rows(d, before + 1);
			await until('its log waits', async () =>
			    (await d.json('store')).wal_bytes > 0);
			/* longer than a pause after which it would be emptied */
			const {commits, state_s: since} = await d.json('store');
			await until('a while has passed', async () =>
			    (await d.json('store')).state_s >= since + 3, 8000);
			assert.equal((await d.json('store')).commits, commits);
		} finally {
			other.stdin.end('COMMIT;\n');
		}
		await until('it is empty', async () =>
		    (await d.json('store')).wal_bytes === 0);
	});

	test('-n takes the database that is in use', async (d) => {
		const r = await run(CHATD, ['-n', '-f', d.conf]);
		assert.equal(r.status, 0, r.stderr);
	});

	test('a reload takes what may change, and says what may not', async (d) => {
		fs.writeFileSync(d.conf, `store "${DB}x"\nstore-wait 30ms\n` +
		    `store-sync normal\n${LOBBY}`);
		const r = await d.ctl('reload');
		assert.equal(r.status, 0, r.stderr);
		assert.match(r.stdout, /store-wait/);
		assert.match(r.stdout,
		    /needs a restart to count: store, store-sync, store-search, store-backup/);
		fs.writeFileSync(d.conf, CONF);
		assert.equal((await d.ctl('reload')).status, 0);
	});
});

group('store, lax', {conf: `store-sync normal\n${CONF}`, workers: 1}, (test) => {
	test('what promises the disk is not taken by a reload', async (d) => {
		await serving(d);
		fs.writeFileSync(d.conf, CONF.replace('store yes', 'store ack'));
		const r = await d.ctl('reload');
		assert.equal(r.status, 1);
		assert.match(r.stderr, /"lobby": store ack promises/);
	});

	test('nor is it by -n', async (d) => {
		fs.writeFileSync(d.conf, `store-sync normal\n` +
		    CONF.replace('store yes', 'store strict'));
		const r = await run(CHATD, ['-n', '-f', d.conf]);
		assert.equal(r.status, 78);
		assert.match(r.stderr, /:1: channel "lobby": store strict promises/);
	});
});

group('store off', {workers: 1}, (test) => {
	test('says so, and has nothing to give', async (d) => {
		await d.logged(/nothing is stored: .*no store in the conf/);
		assert.deepEqual(await d.json('store'), {state: 'off',
		    reason: 'no store in the configuration'});
		for (const words of [['backup'], ['export', 'alice']]) {
			const r = await d.ctl(...words);
			assert.equal(r.status, 1);
			assert.match(r.stderr, /nothing is stored/);
		}
		assert.equal((await d.json('show', 'processes'))
		    .filter((p) => /store/.test(p.kind)).length, 0);
	});
});

/* A daemon with so much in its database that a copy takes a while; its process is
 * stopped in the midst of that, and handed to body() with chatctl's end. */
async function longCopy(body) {
	const db = path.join(DIR, 'long.db');
	const conf = `store "${db}"\nstore-backup "${COPIES}"\n` +
	    LOBBY.replace('history 100', 'history 0');
	if (!fs.existsSync(db)) {
		const d = await Daemon.start({conf, workers: 1});
		await talk(d, 'alice', ['first']);
		await rows(d, 1);
		await d.stop();
		const r = await run('sqlite3', [db, 'INSERT INTO publication(' +
		    'channel, offset, before, time, user, format, data) ' +
		    'WITH RECURSIVE c(x) AS (SELECT 2 UNION ALL ' +
		    'SELECT x + 1 FROM c WHERE x < 300000) SELECT 1, x, x - 1, ' +
		    '1764352000000, \'bob\', 1, hex(randomblob(80)) FROM c']);
		assert.equal(r.status, 0, r.stderr);
	}
	const d = await Daemon.start({conf, workers: 1});
	await serving(d);
	const ctl = spawn(CHATCTL, ['-s', d.socket, 'backup'],
	    {stdio: ['ignore', 'pipe', 'pipe']});
	let said = '';
	ctl.stdout.on('data', (data) => said += data);
	ctl.stderr.on('data', (data) => said += data);
	const ended = new Promise((resolve) => ctl.on('close', resolve));
	await until('it copies', () => fs.existsSync(
	    path.join(COPIES, 'long.part')));
	const [task] = processTitled(d.pid, /store-task/);
	process.kill(task, 'SIGSTOP');
	assert.ok(fs.existsSync(path.join(COPIES, 'long.part')), 'too late');
	await body(d, task, ctl, async () => ({status: await ended, said}));
	assert.ok(!fs.existsSync(path.join(COPIES, 'long.part')));
	if (!d.end)
		await d.stop();
}

group('a long copy', null, (test) => {
	test('goes on over an upgrade', () => longCopy(
	    async (d, task, ctl, end) => {
		const r = await d.ctl('upgrade');
		assert.equal(r.status, 0, r.stderr);
		assert.match((await d.ctl('backup')).stderr,
		    /another backup is going on/);
		process.kill(task, 'SIGCONT');
		const {status, said} = await end();
		assert.equal(status, 0, said);
		const [, copy] = /^(.*): \d+ bytes/.exec(said);
		assert.equal(await sql(copy, 'PRAGMA quick_check;' +
		    'SELECT count(*) FROM publication'), 'ok\n300000');
		assert.doesNotMatch(d.stderr, /nobody made|did not make/);
	}), {limit: 60000});

	test('ends when nobody waits for it any more', () => longCopy(
	    async (d, task, ctl, end) => {
		ctl.kill('SIGKILL');
		await end();
		process.kill(task, 'SIGCONT');
		await d.logged(/backup given up: nobody waits for it/);
		await until('its process has ended', () => !processLives(task));
	}), {limit: 60000});

	test('is told as not done if its process is killed', () => longCopy(
	    async (d, task, ctl, end) => {
		process.kill(task, 'SIGKILL');
		const {status, said} = await end();
		assert.equal(status, 3, said);
		await d.logged(/\(pid \d+\) .*SIGKILL.*: the command is not done/);
		const r = await d.ctl('backup'); /* what it left is removed */
		assert.equal(r.status, 0, r.stderr);
	}), {limit: 60000});

	test('ends with the daemon, and the next one is made', () => longCopy(
	    async (d, task, ctl, end) => {
		await d.stop();
		assert.ok(!processLives(task));
		const {status, said} = await end();
		assert.equal(status, 3, said);
		const next = await Daemon.start(d.options);
		await serving(next);
		const r = await next.ctl('backup');
		assert.equal(r.status, 0, r.stderr);
		await next.stop();
	}), {limit: 60000});
});

group('damage', null, (test) => {
	test('what can be read is put into a new database', async () => {
		const bad = path.join(DIR, 'spoiled.db');
		const good = path.join(DIR, 'saved.db');
		const program = ['libexec', '../libexec'].map((there) => path.join(
		    path.dirname(CHATD), there, 'chatd/chatd-store'))
		    .find((f) => fs.existsSync(f));
		const d = await Daemon.start({conf: `store "${bad}"\n${LOBBY}`,
		    workers: 1});
		await talk(d, 'alice', ['before']);
		await rows(d, 1);
		await d.stop();
		let r = await run('sqlite3', [bad, 'INSERT INTO publication(' +
		    'channel, offset, before, time, user, format, data) ' +
		    'WITH RECURSIVE c(x) AS (SELECT 2 UNION ALL ' +
		    'SELECT x + 1 FROM c WHERE x < 20000) SELECT 1, x, x - 1, ' +
		    '1764352000000, \'bob\', 1, \'line \' || x FROM c']);
		assert.equal(r.status, 0, r.stderr);
		const bytes = fs.readFileSync(bad);
		const leaves = [];
		/* leaves of tables with rows of that talk */
		for (let at = 8 * 4096; at < bytes.length; at += 4096)
			if (bytes[at] === 13 && bytes.subarray(at, at + 4096)
			    .includes('line '))
				leaves.push(at);
		for (const at of [leaves[5], leaves[6], leaves[50]])
			bytes.fill(0xa5, at, at + 4096);
		fs.writeFileSync(bad, bytes);
		r = await run('sqlite3', [bad,
		    'SELECT count(*) FROM publication WHERE data != \'\'']);
		assert.match(r.stderr, /malformed/);
		r = await run(program, ['-R', bad, good]);
		assert.equal(r.status, 0, r.stderr);
		const n = Number(/^publication: (\d+) rows$/m.exec(r.stdout)[1]);
		const lost = Number(
		    /^publication: (\d+) places/m.exec(r.stdout)[1]);
		assert.ok(n > 19000 && n + lost === 20000, r.stdout);
		assert.equal(await sql(good, 'PRAGMA quick_check;' +
		    'SELECT count(*), max(offset) FROM publication;' +
		    'SELECT name, top FROM channel'),
		    `ok\n${n}|20000\nlobby|20000`);
		fs.chmodSync(good, 0o666);
		r = await run(program, ['-R', bad, good]);
		assert.equal(r.status, 1);
		assert.match(r.stderr, /it is there/);
		r = await run(program, ['-R', path.join(ROOT, 'Makefile'),
		    path.join(DIR, 'never.db')]);
		assert.equal(r.status, 1);
		assert.match(r.stderr, /nothing of it can be read/);
		assert.ok(!fs.existsSync(path.join(DIR, 'never.db')));
		/* and the chat goes on with it */
		for (const name of fs.readdirSync(DIR))
			if (/^saved/.test(name))
				fs.chmodSync(path.join(DIR, name), 0o666);
		const e = await Daemon.start({conf: `store "${good}"\n` +
		    LOBBY.replace('100', '100000'), workers: 1});
		await talk(e, 'carol', ['after']);
		await rows(e, n + 1);
		await e.stop();
		assert.equal(await sql(good, 'SELECT data FROM publication ' +
		    'WHERE user = \'carol\' AND offset > 20000'), 'after');
	});
});

group('no database', null, (test) => {
	const cases = {
		'another file': (file) =>
		    fs.writeFileSync(file, 'this is a letter\n'.repeat(300)),
		'another program\'s': (file) =>
		    run('sqlite3', [file, 'CREATE TABLE x(a)']),
		'of a newer version': (file) => run('sqlite3', [file,
		    'PRAGMA application_id = 1667785076;' +
		    'PRAGMA user_version = 9; CREATE TABLE x(a)'])
	};
	for (const [what, make] of Object.entries(cases))
		test(what, async () => {
			const file = path.join(DIR, 'bad.db');
			const conf = path.join(DIR, 'bad.conf');
			fs.rmSync(file, {force: true});
			await make(file);
			const before = fs.readFileSync(file);
			fs.writeFileSync(conf, `\nstore "${file}"\n${LOBBY}`);
			for (const first of ['-n', '-d']) {
				const r = await run(CHATD, [first, '-f', conf,
				    '-s', path.join(DIR, 'bad.sock')]);
				assert.equal(r.status, 78, r.stderr);
				assert.match(r.stderr, /bad\.conf:2: store: .*bad\.db: /);
			}
			assert.ok(fs.readFileSync(file).equals(before));
		});

	test('what is no file', async () => {
		const conf = path.join(DIR, 'bad.conf');
		const fifo = path.join(DIR, 'fifo');
		await run('mkfifo', [fifo]);
		for (const [file, what] of [[COPIES, 'it is a folder'],
		    [fifo, 'it is a FIFO'], ['/dev/null', 'no regular file']]) {
			fs.writeFileSync(conf, `store "${file}"\n${LOBBY}`);
			const r = await run(CHATD, ['-n', '-f', conf]);
			assert.equal(r.status, 78);
			assert.ok(r.stderr.includes(what), r.stderr);
		}
	});

	test('a folder that is not there', async () => {
		const conf = path.join(DIR, 'bad.conf');
		fs.writeFileSync(conf, `store "${DIR}/none/chat.db"\n${LOBBY}`);
		const r = await run(CHATD, ['-n', '-f', conf]);
		assert.equal(r.status, 78);
		assert.match(r.stderr, /none/);
	});

	test('keys without effect are warned of', async () => {
		const conf = path.join(DIR, 'bad.conf');
		fs.writeFileSync(conf, `store-age 3d\n${LOBBY}`);
		const r = await run(CHATD, ['-n', '-f', conf]);
		assert.equal(r.status, 0);
		assert.match(r.stderr, /:1: store-age: has no effect without/);
		assert.match(r.stderr, /:2: channel: "lobby" has a rule store/);
	});
});

/* The installed one, with another folder. */
group('installed', null, (test) => {
	test('what make install puts there fits together', async () => {
		const to = path.join(DIR, 'root');
		const make = (target) => run('make', ['-s', target,
		    `DESTDIR=${to}`], {cwd: ROOT, limit: 60000});
		let r = await make('install');
		assert.equal(r.status, 0, r.stderr);
		const conf = path.join(to, 'etc/chatd/chatd.conf');
		const text = fs.readFileSync(conf, 'utf8');
		const own = fs.readFileSync(path.join(to,
		    'usr/lib/tmpfiles.d/chatd.conf'), 'utf8');
		const users = fs.readFileSync(path.join(to,
		    'usr/lib/sysusers.d/chatd.conf'), 'utf8');
		const unit = fs.readFileSync(path.join(to,
		    'usr/lib/systemd/system/chatd.service'), 'utf8');
		assert.match(own, /^d\s+\/var\/lib\/chatd\s+0750\s+chatd-store/m);
		assert.match(users, /^u\s+chatd-store/m);
		assert.match(unit, /^ReadWritePaths=-\/var\/lib\/chatd$/m);
		assert.match(text, /^store \/var\/lib\/chatd\/chat\.db$/m);
		assert.match(text, /^store-size 1G$/m);
		fs.writeFileSync(conf, text.replaceAll('/var/lib/chatd/backup',
		    COPIES).replaceAll('/var/lib/chatd', DIR));
		fs.chmodSync(conf, 0o640);
		r = await run(path.join(to, 'usr/local/sbin/chatd'),
		    ['-n', '-f', conf]);
		assert.equal(r.status, 0, r.stderr);
		assert.doesNotMatch(r.stderr, /warning/);
		r = await make('uninstall');
		assert.equal(r.status, 0, r.stderr);
		const left = (await run('find', [to, '-type', 'f'])).stdout;
		assert.equal(left.trim(), conf);
	}, {limit: 90000});
});

/* What `make run` starts; the README's first minute. */
group('run', null, (test) => {
	test('the talk is there after a restart', async () => {
		const db = path.join(DIR, 'run.db');
		const conf = fs.readFileSync(path.join(ROOT, 'etc/run.conf'),
		    'utf8').replace('@STORE@', db);
		const d = await Daemon.start({conf, workers: 2});
		await talk(d, 'alice', ['will it be there?']);
		await rows(d, 1);
		await d.stop();
		assert.equal(await sql(db,
		    'SELECT user, data FROM publication WHERE format < 3'),
		    'alice|will it be there?');
		const e = await Daemon.start({conf, workers: 2});
		const c = await Client.connect(e.port);
		await c.open('/ws?user=bob');
		c.text('/history lobby');
		await until('it is told', async () =>
		    /alice.*will it be there\?/.test(await c.heard()));
		await c.close();
		await e.stop();
		assert.ok(!processLives(d.pid) && !processLives(e.pid));
	});
});
