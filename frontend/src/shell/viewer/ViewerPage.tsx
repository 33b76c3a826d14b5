/** The viewer of one study. Another study is another page: everything is blanked in between. */

import { useEffect, useRef, useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { Notice } from "../Notice";
import { commandOfKey, keyOf } from "./commands";
import { CommandPalette } from "./CommandPalette";
import { DeletedNote } from "./DraftWords";
import { Grid } from "./Grid";
import type * as Imaging from "./imaging";
import { KeySheet } from "./KeySheet";
import { SeriesStrip } from "./SeriesStrip";
import { SessionProvider, useSession, useViewer } from "./session-context";
import { exposeForSupport } from "./support";
import { SidePanel } from "./SidePanel";
import { TextPrompt, useTextPrompt } from "./TextPrompt";
import { TopBar } from "./TopBar";
import { ViewerSession } from "./viewer-session";
import "./viewer.css";

// Fetched at once, while the study's own data is being asked for.
let core: Promise<typeof Imaging> | undefined;
function imagingCore(): Promise<typeof Imaging> {
	core ??= import("./imaging");
	return core;
}

function typing(target: EventTarget | null): boolean {
	return (
		target instanceof HTMLElement &&
		(target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
	);
}

/** Keys work wherever the pointer is, except while something is typed or a dialog is open. */
function useKeys(): void {
	const session = useSession();
	useEffect(() => {
		const onKey = (event: KeyboardEvent) => {
			if (typing(event.target) || document.querySelector("[role=dialog],[role=menu]")) return;
			const button =
				event.target instanceof HTMLElement && event.target.closest("button,a,[role=slider]");
			if (button && ["Enter", " ", "Tab"].includes(event.key)) return;
			const command = commandOfKey(keyOf(event));
			if (!command) return;
			event.preventDefault();
			command.run(session);
		};
		window.addEventListener("keydown", onKey);
		return () => window.removeEventListener("keydown", onKey);
	}, [session]);
}

function Workspace() {
	const { study, failure, panel, strip, dialog, loaded, series } = useViewer();
	useKeys();
	if (failure) {
		return (
			<Notice title={failure.sentence}>
				{failure.signedOut ? (
					<a
						className="button"
						href={`/login/?next=${encodeURIComponent(window.location.pathname)}`}
					>
						Sign in again
					</a>
				) : (
					<Link className="button" to="/">
						Go to the study list
					</Link>
				)}
			</Notice>
		);
	}
	return (
		<div className="viewer">
			<TopBar />
			<div className="viewer-body">
				{strip && <SeriesStrip />}
				{loaded && series.length === 0 ? (
					<main className="grid">
						<Notice title="This study has no series yet.">
							<p>Images appear here as soon as they arrive and the page is reloaded.</p>
						</Notice>
					</main>
				) : (
					<Grid />
				)}
				{panel && study && <SidePanel panel={panel} />}
				<DeletedNote />
			</div>
			{dialog === "keys" && <KeySheet />}
			{dialog === "palette" && <CommandPalette />}
		</div>
	);
}

function OpenStudy({ studyInstanceUID }: { studyInstanceUID: string }) {
	const prompt = useTextPrompt();
	const ask = useRef(prompt.ask);
	const navigate = useNavigate();
	const leave = useRef((uid: string) => navigate(`/viewer/${encodeURIComponent(uid)}`));
	const [session, setSession] = useState<ViewerSession>();
	useEffect(() => {
		const opened = new ViewerSession(studyInstanceUID, (uid) => leave.current(uid));
		opened.start(imagingCore, (current) => ask.current(current));
		const conceal = exposeForSupport(opened);
		setSession(opened);
		return () => {
			conceal();
			opened.dispose();
			document.title = "pacsweb";
		};
	}, [studyInstanceUID]);
	if (!session) return null;
	return (
		<SessionProvider value={session}>
			<Workspace />
			<TextPrompt prompt={prompt} />
		</SessionProvider>
	);
}

export default function ViewerPage() {
	const { studyInstanceUID = "" } = useParams();
	return <OpenStudy key={studyInstanceUID} studyInstanceUID={studyInstanceUID} />;
}
