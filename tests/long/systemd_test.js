/*
 * The unit under systemd itself, which systemd_boot.sh boots in namespaces of
 * its own: the sandbox lets chatd do all that it has to, and the descriptor
 * store is what manager.py takes it for. Takes root; skipped without it.
 */
'use strict';

const assert = require('node:assert/strict');
const {spawn, spawnSync} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const ROOT = path.resolve(__dirname, '../..');
process.env.CHATD ??= path.join(ROOT, 'build/chatd');
const {CHATD, processChildren, run, until} = require('../system/daemon.js');

const INSIDE = '--inside';
const PATH = '/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin';

/* Removes a control group and those in it. */
function groupsRemove(name) {
	const [, top] = /^\S+ (\S+) cgroup2 /m.exec(
	    fs.readFileSync('/proc/mounts', 'utf8'));
	const remove = (group) => {
		for (const e of fs.readdirSync(group, {withFileTypes: true}))
			if (e.isDirectory())
				remove(path.join(group, e.name));
		fs.rmdirSync(group);
	};
	if (fs.existsSync(path.join(top, name)))
		remove(path.join(top, name));
}

/* Boots systemd, runs this file in there, ends it. */
async function outside() {
	if (process.getuid() !== 0 || !fs.existsSync('/lib/systemd/systemd') ||
	    spawnSync('unshare', ['-mpfuinC', 'true']).status !== 0) {
		console.log('skip: takes root, systemd and namespaces');
		return 0;
	}
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-systemd-'));
	const boot = spawn('unshare', ['--mount', 'sh',
	    path.join(__dirname, 'systemd_boot.sh'), dir, ROOT,
	    path.dirname(CHATD)], {stdio: ['ignore', 'inherit', 'inherit']});
	try {
		let init;
		/* All in there, whatever their user is: as in a shell there. */
		const enter = (...args) => ['-t', String(init), '-a', '--', 'env',
		    '-i', `PATH=${PATH}`, 'HOME=/root', ...args];
		await until('systemd runs', async () => {
			assert.equal(boot.exitCode, null, 'it does not boot');
			[init] = processChildren(boot.pid);
			if (init === undefined)
				return false;
			const r = await run('nsenter',
			    enter('systemctl', 'is-system-running'));
			return /running|degraded/.test(r.stdout);
		}, 30000);
		const tests = spawn('nsenter', enter('CHATD=/run/build/chatd',
		    process.execPath,
		    path.join('/run/root', path.relative(ROOT, __filename)),
		    process.argv[2] ?? '', INSIDE), {stdio: 'inherit'});
		return await new Promise((resolve) => tests.on('exit', resolve));
	} finally {
		/* And process 1, with which all others go. */
		boot.kill('SIGKILL');
		await until('all are gone', () => {
			try {
				fs.rmSync(dir, {recursive: true, force: true});
				groupsRemove(path.basename(dir));
				return true;
			} catch {
				return false;
			}
		});
	}
}

const CONF = (...addresses) => 'workers 3\nchannel "room" {\n' +
    '\tsubscribe all\n\tpublish all\n\thistory 100\n\trecovery yes\n}\n' +
    ['127.0.0.1:8080', ...addresses].map((a) => `listen "${a}"\n`).join('');

/* The tests themselves. */
function inside() {
	const {group} = require('../system/suite.js');
	const {Client} = require('../system/client.js');
	const {answers} = require('../system/daemon.js');
	const {event, sdk, sdkLeave, subscribed} =
	    require('../system/centrifugo.js');
	const at = {port: 8080};

	/* A command that succeeds; what it said. */
	async function does(...words) {
		const r = await run(words[0], words.slice(1), {limit: 30000});
		assert.equal(r.status, 0, `${words.join(' ')}: ${r.stdout}` +
		    `${r.stderr}${(await run('journalctl', ['-u', 'chatd', '-n',
			'20', '--no-pager'])).stdout}`);
		return r.stdout;
	}

	/* Properties of the unit. */
	async function shown(...names) {
		const text = await does('systemctl', 'show', 'chatd', '-p',
		    names.join());
		return Object.fromEntries(text.trim().split('\n').map((line) =>
		    [line.slice(0, line.indexOf('=')),
			line.slice(line.indexOf('=') + 1)]));
	}

	/* What chatd has said. */
	async function journal() {
		await does('journalctl', '--sync');
		return does('journalctl', '-u', 'chatd', '--no-pager');
	}

	/* Kills the master; resolves when the next one is ready. */
	async function killed() {
		const {MainPID} = await shown('MainPID');
		/* Not too many in a short time. */
		await does('systemctl', 'reset-failed', 'chatd');
		process.kill(Number(MainPID), 'SIGKILL');
		await until('the next one', async () => {
			const s = await shown('MainPID', 'SubState');
			return s.SubState === 'running' && s.MainPID !== MainPID;
		}, 15000);
	}

	/* Publishes, ends the service that way, and comes back to it. */
	async function recovers(end, recovered = true) {
		const a = sdk(at, '?user=alice');
		await a.ready(5000);
		const sub = await subscribed(a, 'room');
		await a.publish('room', {n: 1});
		a.disconnect();
		await end();
		const again = event(sub, 'subscribed');
		a.connect();
		assert.equal((await again).recovered, recovered);
		sdkLeave();
	}

	function write(text) {
		fs.writeFileSync('/etc/chatd/chatd.conf', text);
	}

	group('systemd', null, (test) => {
		test('the unit starts', async () => {
			await does('make', '-s', '-o', 'all', '-C', '/run/root',
			    'install', 'OUT=/run/build', 'PREFIX=/usr/local',
			    'UNITDIR=/etc/systemd/system');
			await does('systemd-sysusers');
			await does('systemd-analyze', 'verify',
			    '/etc/systemd/system/chatd.service');
			write(CONF());
			await does('systemctl', 'daemon-reload');
			await does('systemctl', 'start', 'chatd');
			const s = await shown('SubState', 'StatusText',
			    'NFileDescriptorStore');
			assert.deepEqual(s, {SubState: 'running',
			    StatusText: 'serving', NFileDescriptorStore: '3'});
			const c = await Client.user(8080, 'alice');
			c.text('hello');
			assert.equal(await c.heard(), 'alice says: hello');
		});
		test('the sandbox is in nobody\'s way', async () => {
			const text = await journal();
			assert.doesNotMatch(text, /warning|error/);
			const all = JSON.parse(await does('chatctl', '-j', 'show',
			    'workers'));
			for (const w of all) {
				const filters = (pid) => Number(/^Seccomp_filters:\s*(\d+)/m
				    .exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
				assert.equal(filters(w.keeper), filters(w.pid) + 1);
			}
		});
		test('a worker is killed', async () => {
			const c = await Client.user(8080, 'alice');
			const before = JSON.parse(await does('chatctl', '-j', 'show',
			    'workers'));
			for (const w of before)
				process.kill(w.pid, 'SIGKILL');
			await until('the next ones', async () =>
			    JSON.parse(await does('chatctl', '-j', 'show', 'workers'))
				.every((w, i) => w.state === 'running' &&
				    w.pid !== before[i].pid));
			c.text('hello');
			assert.equal(await c.heard(), 'alice says: hello');
			/* The journal knows what is bad, and when it was. */
			await does('journalctl', '--sync');
			const bad = await does('journalctl', '-u', 'chatd', '-p',
			    'err', '-o', 'cat', '--no-pager');
			assert.match(bad, /^master: error: worker 0 .*SIGKILL/m);
			assert.doesNotMatch(bad, /joined/);
		});
		test('reload and upgrade', async () => {
			const c = await Client.user(8080, 'alice');
			await does('systemctl', 'reload', 'chatd');
			const {MainPID} = await shown('MainPID');
			assert.match(await does('chatctl', 'upgrade'), /upgraded/);
			c.text('hello');
			assert.equal(await c.heard(), 'alice says: hello');
			assert.deepEqual(await shown('MainPID', 'SubState'),
			    {MainPID, SubState: 'running'});
		});
		test('the master is killed, again after an upgrade', async () => {
			await recovers(killed);
			await does('chatctl', 'upgrade');
			await recovers(killed);
			assert.equal((await shown('NFileDescriptorStore'))
			    .NFileDescriptorStore, '3');
		});
		test('a restart, also with other addresses', async () => {
			await recovers(() => does('systemctl', 'restart', 'chatd'));
			write(CONF('127.0.0.1:8081', '[::1]:8080'));
			await recovers(() => does('systemctl', 'restart', 'chatd'));
			assert.ok(await answers(8081));
			write(CONF());
			await recovers(killed);
			assert.ok(!await answers(8081));
		});
		test('a stop and a start', async () => {
			await recovers(async () => {
				await does('systemctl', 'stop', 'chatd');
				await does('systemctl', 'start', 'chatd');
			}, false);
		});
		test('syslog', async () => {
			const args = ['-s', '/run/other.sock', '-p', '/run/other.pid'];
			await does('chatd', '-w', '1', '-l', '127.0.0.1:8082', ...args);
			const heard = (name) => until(`${name} in the journal`,
			    async () => {
				const c = await Client.user(8082, name);
				await c.close();
				const text = await does('journalctl', '-t', 'chatd',
				    '-o', 'export', '--no-pager');
				return new RegExp(`MESSAGE=worker 0: ${name} joined`)
				    .test(text);
			});
			await heard('bob');
			await does('systemctl', 'restart', 'systemd-journald');
			await heard('carol');
			await does('chatctl', '-s', '/run/other.sock', 'stop');
		});
		test('QUIT ends it', async () => {
			const c = await Client.user(8080, 'alice');
			await does('systemctl', 'kill', '-s', 'QUIT',
			    '--kill-who=main', 'chatd');
			await until('refused', async () => !await answers(8080));
			c.text('hello');
			assert.equal(await c.heard(), 'alice says: hello');
			await c.close();
			await until('inactive', async () =>
			    (await shown('ActiveState')).ActiveState === 'inactive');
		});
	});
}

if (process.argv.includes(INSIDE))
	inside();
else
	outside().then((status) => process.exit(status ?? 1));
