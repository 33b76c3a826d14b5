import { MOST_FOUND, type Transfer } from "../../dicomweb/peers";
import { Notice } from "../Notice";
import type { RemoteSearch } from "./useRemoteSearch";

/** What stands below the rows: nothing asked, nothing found, more than shown, or why not. */
export function Standing({
	source,
	found,
	onAgain,
}: {
	source: string;
	found: RemoteSearch;
	onAgain: () => void;
}) {
	const again = (
		<button type="button" className="button" onClick={onAgain}>
			Search again <kbd>r</kbd>
		</button>
	);
	if (found.state === "idle") {
		return (
			<Notice title={`Say what to look for in ${source}.`}>
				<p>
					A name, an identifier, an accession number or a date. Names are searched from their
					beginning; put * before one to search within.
				</p>
			</Notice>
		);
	}
	if (found.rows.length > 0) {
		const lines = [
			found.state === "failed" && `${found.message} What came before that is shown.`,
			found.state === "cancelled" && "Stopped: there may be more.",
			found.more &&
				`${source} has more than these ${MOST_FOUND}. Narrow the search to see the others.`,
			found.unusable > 0 && `${found.unusable} answers named no study and are left out.`,
		].filter((line) => line !== false);
		return lines.length === 0 ? null : (
			<div className="remote-end" role="status">
				{lines.map((line) => (
					<p key={line}>{line}</p>
				))}
			</div>
		);
	}
	if (found.state === "running") {
		return <Notice title={`${source} is searching …`} />;
	}
	if (found.state === "failed") {
		return (
			<Notice title={`${source} could not be searched.`}>
				<p>{found.message}</p>
				{again}
			</Notice>
		);
	}
	if (found.state === "cancelled") {
		return <Notice title="The search was stopped.">{again}</Notice>;
	}
	return (
		<Notice title={`${source} has no study that matches.`}>
			<p>Names are searched from their beginning; put * before one to search within.</p>
			{found.unusable > 0 && <p>{found.unusable} answers named no study and are left out.</p>}
		</Notice>
	);
}

/** Why what was fetched did not come, or not yet; "" where all is well. */
export function failureOf(transfer: Transfer | undefined): string {
	if (!transfer) return "";
	const told = transfer.state === "failed" || transfer.state === "partly" || transfer.message;
	if (!told || transfer.state === "cancelled" || transfer.state === "succeeded") return "";
	return transfer.message || `${transfer.failed} of ${transfer.total} instances did not come.`;
}

/** One sentence, and what can be done about it. */
export function Problem({
	words,
	onClose,
	onRetry,
	onGet,
}: {
	words: string;
	onClose: (() => void) | undefined;
	onRetry: (() => void) | undefined;
	onGet: (() => void) | undefined;
}) {
	if (!words) return null;
	return (
		<div className="problem-strip" role="alert">
			<span className="danger">{words}</span>
			<span className="notice-actions">
				{onRetry && (
					<button type="button" className="button" onClick={onRetry}>
						Try now
					</button>
				)}
				{onGet && (
					<button
						type="button"
						className="button"
						title="C-GET: on the association that asks, for an archive that does not know us as a destination"
						onClick={onGet}
					>
						Fetch on our own association
					</button>
				)}
				{onClose && (
					<button type="button" className="button" onClick={onClose}>
						Close
					</button>
				)}
			</span>
		</div>
	);
}
