// @solana/web3.js against the drill's Solana: what it understood, as one JSON object on standard output.
// Input (JSON on standard input): url, program, market, protocol, committer and authority (secret keys, base64), pause, pause_wrong
// (instructions), friend (an address).
const web3 = require("@solana/web3.js");

const read = async () => {
  let text = "";
  for await (const chunk of process.stdin) text += chunk;
  return JSON.parse(text);
};
const instruction = (raw) =>
  new web3.TransactionInstruction({
    programId: new web3.PublicKey(raw.program),
    data: Buffer.from(raw.data, "base64"),
    keys: raw.keys.map((k) => ({ ...k, pubkey: new web3.PublicKey(k.pubkey) })),
  });
const keypair = (text) => web3.Keypair.fromSecretKey(Buffer.from(text, "base64"));
const within = (promise, what, ms = 15000) =>
  Promise.race([promise, new Promise((_, no) => setTimeout(() => no(new Error(`${what}: nothing in ${ms} ms`)), ms).unref())]);
const refusal = async (promise) => {
  try {
    await promise;
    return null;
  } catch (error) {
    return { name: error.constructor.name, message: String(error.message), logs: error.logs ?? null, code: error.code ?? null };
  }
};

(async () => {
  const given = await read();
  const out = {};
  const program = new web3.PublicKey(given.program);
  const market = new web3.PublicKey(given.market);
  const authority = keypair(given.authority);
  const committer = keypair(given.committer);
  const connection = new web3.Connection(given.url, "confirmed");

  // subscriptions first, so that they run beside everything else
  const heard = { logs: [], slots: [], accounts: 0, program: 0 };
  let gotLogs, gotSlots, gotAccount, gotProgram;
  const logs = new Promise((yes) => (gotLogs = yes));
  const slots = new Promise((yes) => (gotSlots = yes));
  const account = new Promise((yes) => (gotAccount = yes));
  const programs = new Promise((yes) => (gotProgram = yes));
  const listeners = [
    connection.onLogs(program, (l) => heard.logs.push(l) >= 10 && gotLogs(), "confirmed"),
    connection.onSlotChange((s) => heard.slots.push(s) >= 3 && gotSlots()),
    connection.onAccountChange(market, (a) => { heard.accounts++; heard.size = a.data.length; gotAccount(); }, "confirmed"),
    connection.onProgramAccountChange(program, () => { heard.program++; gotProgram(); }, "confirmed"),
  ];

  out.version = await connection.getVersion();
  out.slot = await connection.getSlot();
  out.height = await connection.getBlockHeight();
  out.epoch = await connection.getEpochInfo();
  out.genesis = await connection.getGenesisHash();
  out.balance = await connection.getBalance(committer.publicKey);
  const info = await connection.getAccountInfo(market);
  out.account = { owner: info.owner.toBase58(), size: info.data.length, head: info.data.subarray(0, 8).toString("hex") };
  const head = info.data.subarray(0, 8);
  const found = await connection.getProgramAccounts(program, {
    filters: [{ dataSize: info.data.length }, { memcmp: { offset: 0, bytes: head.toString("base64"), encoding: "base64" } }],
  });
  out.markets = found.length;
  out.several = (await connection.getMultipleAccountsInfo([market, program, web3.Keypair.generate().publicKey])).map((a) => a && a.executable);
  out.rent = await connection.getMinimumBalanceForRentExemption(146);
  out.fees = (await connection.getRecentPrioritizationFees({ lockedWritableAccounts: [program] })).length;
  out.performance = (await connection.getRecentPerformanceSamples(2)).length;

  await within(logs, "onLogs");
  await within(slots, "onSlotChange");
  await within(account, "onAccountChange");
  await within(programs, "onProgramAccountChange");
  out.heard = { ...heard, slots: heard.slots.length, logs: heard.logs.length, doubles: heard.logs.length - new Set(heard.logs.map((l) => l.signature)).size, log: heard.logs[0].logs };

  const first = await connection.getSignaturesForAddress(program, { limit: 4 });
  const second = await connection.getSignaturesForAddress(program, { limit: 4, before: first[3].signature });
  const both = [...first, ...second].map((row) => row.signature);
  const until = await connection.getSignaturesForAddress(program, { limit: 100, before: first[0].signature, until: both[6] });
  out.paging = { count: both.length, distinct: new Set(both).size, until: until.map((r) => r.signature).join() === both.slice(1, 6).join() };
  const shown = await connection.getTransaction(both[0], { maxSupportedTransactionVersion: 0 });
  out.transaction = { slot: shown.slot === first[0].slot, logs: shown.meta.logMessages.length, version: shown.version };
  const parsed = await connection.getParsedTransaction(both[0], { maxSupportedTransactionVersion: 0 });
  out.parsed = parsed.transaction.message.accountKeys.filter((k) => k.signer).length;
  out.several_transactions = (await connection.getTransactions(both.slice(0, 3), { maxSupportedTransactionVersion: 0 })).filter(Boolean).length;
  const block = await connection.getBlock(shown.slot, { maxSupportedTransactionVersion: 0, commitment: "confirmed" });
  out.block = { has: block.transactions.some((t) => t.transaction.signatures[0] === both[0]), time: (await connection.getBlockTime(shown.slot)) === block.blockTime };
  out.statuses = (await connection.getSignatureStatuses(both.slice(0, 2))).value.map((s) => s.confirmationStatus);

  // simulate, send, confirm
  const latest = await connection.getLatestBlockhash();
  out.blockhash_valid = (await connection.isBlockhashValid(latest.blockhash)).value;
  const build = (raw, payer) => new web3.Transaction({ feePayer: payer.publicKey, ...latest }).add(instruction(raw));
  out.fee = (await connection.getFeeForMessage(build(given.pause, authority).compileMessage())).value;
  const good = await connection.simulateTransaction(build(given.pause, authority), [authority]);
  out.simulated = { err: good.value.err, logs: good.value.logs, units: good.value.unitsConsumed };
  const versioned = new web3.VersionedTransaction(new web3.TransactionMessage({ payerKey: committer.publicKey, recentBlockhash: latest.blockhash, instructions: [instruction(given.pause_wrong)] }).compileToV0Message());
  versioned.sign([committer]);
  const bad = await connection.simulateTransaction(versioned, { sigVerify: true });
  out.simulated_bad = bad.value.err;
  out.refused = await refusal(connection.sendTransaction(build(given.pause_wrong, committer), [committer]));
  const signature = await connection.sendTransaction(build(given.pause, authority), [authority]);
  out.confirmed = (await within(connection.confirmTransaction({ signature, ...latest }, "confirmed"), "confirmTransaction")).value.err;
  const landed = new web3.VersionedTransaction(versioned.message);
  landed.sign([committer]);
  const failing = await connection.sendTransaction(landed, { skipPreflight: true });
  // confirmTransaction rejects with the transaction's own error
  out.confirmed_failing = await within(connection.confirmTransaction({ signature: failing, ...latest }, "confirmed"), "confirmTransaction").then(() => null, (error) => error);
  const drop = await connection.requestAirdrop(new web3.PublicKey(given.friend), 5000000);
  await within(connection.confirmTransaction({ signature: drop, ...latest }, "confirmed"), "requestAirdrop");
  out.dropped = await connection.getBalance(new web3.PublicKey(given.friend));

  // errors as objects
  out.unknown_method = await connection._rpcRequest("getNonsense", []);
  out.skipped = await refusal(connection.getBlock(5, { maxSupportedTransactionVersion: 0 }));
  out.old_version = await refusal(connection.getTransaction(failing, { commitment: "confirmed" }));
  out.bad_filter = await refusal(connection.getProgramAccounts(program, { filters: [{ memcmp: { offset: 0, bytes: "0OIl" } }] }));

  await connection.removeOnLogsListener(listeners[0]);
  await connection.removeSlotChangeListener(listeners[1]);
  await connection.removeAccountChangeListener(listeners[2]);
  await connection.removeProgramAccountChangeListener(listeners[3]);
  console.log(JSON.stringify(out));
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
