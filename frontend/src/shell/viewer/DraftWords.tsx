import { Check, CloudOff, Ellipsis } from "lucide-react";
import { useSyncExternalStore } from "react";
import { Tip } from "../Tip";
import { useSession, useViewer } from "./session-context";

const clock = (at: Date) => at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

/** Measurements are a draft until somebody signs them; this says whether it is safe. */
export function DraftWords({ long = false }: { long?: boolean }) {
	const session = useSession();
	const { draft } = useViewer();
	const { imaging } = session;
	const count = useSyncExternalStore(
		imaging?.subscribeMeasurements ?? (() => () => {}),
		() => imaging?.measurements().length ?? 0,
	);
	if (draft.kind === "failed") {
		return (
			<Tip label={`${draft.reason} What you measured is only in this window.`}>
				<button
					type="button"
					className="draft"
					data-state="failed"
					onClick={() => session.retryDraft()}
				>
					<CloudOff size={14} aria-hidden="true" /> Draft not saved{long && ": try again"}
				</button>
			</Tip>
		);
	}
	if (draft.kind === "loading" || (draft.kind === "saved" && count === 0 && !long)) return null;
	return (
		<span className="draft" data-state={draft.kind} role="status">
			{draft.kind === "saved" ? (
				<>
					<Check size={14} aria-hidden="true" /> Draft saved
					{long && draft.at && ` ${clock(draft.at)}`}
				</>
			) : (
				<>
					<Ellipsis size={14} aria-hidden="true" /> Draft, saving
				</>
			)}
		</span>
	);
}

/** What was just deleted, with the way back. */
export function DeletedNote() {
	const session = useSession();
	const { deleted } = useViewer();
	if (deleted === undefined) return null;
	return (
		<div className="deleted-note" role="status">
			<span>{deleted} deleted</span>
			<button type="button" className="button" onClick={() => session.undo()}>
				Undo <kbd>Ctrl+Z</kbd>
			</button>
		</div>
	);
}
