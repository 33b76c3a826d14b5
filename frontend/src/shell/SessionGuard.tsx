import { type ReactNode, useEffect, useState } from "react";
import { onSessionEnd, signInAgain } from "../dicomweb/session-end";
import { fetchSession } from "../dicomweb/studies";

/** Covers everything when the session has ended: no patient stays on a screen nobody owns. */
export function SessionGuard({ children }: { children: ReactNode }) {
	const [ended, setEnded] = useState(false);
	useEffect(() => onSessionEnd(() => setEnded(true)), []);
	useEffect(() => {
		if (!ended) return;
		// Signed in again in another window: this page goes on, if it is the same person.
		const look = async () => {
			try {
				const session = await fetchSession();
				if (session.user === document.body.dataset.user) setEnded(false);
				else window.location.reload();
			} catch {
				// Still signed out, or no server: the cover stays.
			}
		};
		window.addEventListener("focus", look);
		return () => window.removeEventListener("focus", look);
	}, [ended]);
	return (
		<>
			<div className="guarded" data-covered={ended} inert={ended}>
				{children}
			</div>
			{ended && (
				<div className="session-cover" role="alertdialog" aria-labelledby="session-cover-title">
					<strong id="session-cover-title">Your session has ended.</strong>
					<p>Sign in again to go on where you were.</p>
					<button
						type="button"
						className="button"
						data-kind="primary"
						ref={(button) => button?.focus()}
						onClick={signInAgain}
					>
						Sign in
					</button>
				</div>
			)}
		</>
	);
}
