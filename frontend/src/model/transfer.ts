/** Studies elsewhere and on their way: how much of them is here, in words. */
import type { RemoteStudy, Transfer } from "../dicomweb/peers";

export type Presence = "all" | "part" | "none" | "unknown";

/** Whether a study is here. More here than there is all: what we have may have grown. */
export function presenceOf(row: Pick<RemoteStudy, "here" | "there">): Presence {
	if (row.here === null) return "unknown";
	if (row.here === 0) return "none";
	if (row.there === null) return "unknown";
	return row.here >= row.there ? "all" : "part";
}

export function presenceText(row: Pick<RemoteStudy, "here" | "there">): string {
	switch (presenceOf(row)) {
		case "all":
			return "here";
		case "part":
			return `${row.here} of ${row.there} here`;
		case "none":
			return "not here";
		default:
			return row.here ? `${row.here} here` : "unknown";
	}
}

export function isOver(transfer: Transfer): boolean {
	return transfer.state !== "waiting" && transfer.state !== "running";
}

/** Whether it ends for somebody else too when this user cancels it. */
export function isForOthers(transfer: Transfer, user: string): boolean {
	return transfer.shared || transfer.asked_by_name !== user;
}

/** What was settled, of what is known to come. */
export function settled(transfer: Transfer): number {
	return transfer.completed + transfer.warning + transfer.failed;
}

/** How a transfer stands, in a few words. */
export function transferText(transfer: Transfer): string {
	const done = settled(transfer);
	const of = transfer.total > 0 ? `${done} of ${transfer.total}` : "";
	switch (transfer.state) {
		case "running":
			return of || "asking";
		case "waiting":
			return transfer.attempts > 0
				? `waits, attempt ${transfer.attempts + 1} of ${transfer.most_attempts}`
				: "waiting";
		case "succeeded":
			return transfer.warning > 0 ? `done, ${transfer.warning} with a warning` : "done";
		case "partly":
			return `${transfer.failed} of ${transfer.total} failed`;
		case "cancelled":
			return done > 0 ? `cancelled after ${done}` : "cancelled";
		default:
			return "failed";
	}
}

/** The newest transfer of each study. */
export function byStudy(transfers: Transfer[]): Map<string, Transfer> {
	const found = new Map<string, Transfer>();
	for (const each of transfers) {
		const known = found.get(each.study_instance_uid);
		if (each.kind === "pull" && (!known || known.id < each.id)) {
			found.set(each.study_instance_uid, each);
		}
	}
	return found;
}
