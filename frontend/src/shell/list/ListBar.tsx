import * as Dialog from "@radix-ui/react-dialog";
import { Keyboard, PanelRight, RefreshCw, Upload } from "lucide-react";
import type { Elsewhere, Peer } from "../../dicomweb/peers";
import type { Session } from "../../dicomweb/studies";
import { UserMenu } from "../UserMenu";
import { ColumnMenu } from "./ColumnMenu";
import { SourceMenu } from "./SourceMenu";
import { LIST_KEYS } from "./useListKeys";

interface Props {
	session: Session | undefined;
	count: string;
	offline: boolean;
	newStudies: number;
	onShowNew: () => void;
	onRefresh: () => void;
	columns: string[];
	onColumns: (columns: string[]) => void;
	panelOpen: boolean;
	onPanel: () => void;
	onChooseFiles: () => void;
	keysOpen: boolean;
	onKeys: (open: boolean) => void;
	peers: Peer[] | undefined;
	onSource: (source: Elsewhere | null) => void;
	sourcesOpen: boolean;
	onSources: (open: boolean) => void;
}

/** The bar above the list: where we are, how many, and the few things to press. */
export function ListBar(props: Props) {
	const { session } = props;
	const mayStore = session?.permissions.includes("store_instances") ?? false;
	return (
		<header className="list-bar">
			<SourceMenu
				source={null}
				peers={props.peers}
				onSource={props.onSource}
				open={props.sourcesOpen}
				onOpen={props.onSources}
			/>
			<span className="muted list-count" aria-live="polite">
				{props.count}
			</span>
			{props.newStudies > 0 && (
				<button type="button" className="chip" aria-pressed="true" onClick={props.onShowNew}>
					{props.newStudies} new
				</button>
			)}
			<span className="danger" role="alert">
				{props.offline && "The server does not answer; trying again …"}
			</span>
			<span className="spread" />
			{mayStore && (
				<button type="button" className="button" onClick={props.onChooseFiles}>
					<Upload size={14} aria-hidden="true" /> Add files
				</button>
			)}
			<button
				type="button"
				className="icon-button"
				aria-label="Refresh"
				title="Refresh   r"
				onClick={props.onRefresh}
			>
				<RefreshCw size={16} aria-hidden="true" />
			</button>
			<ColumnMenu columns={props.columns} onColumns={props.onColumns} />
			<button
				type="button"
				className="icon-button"
				aria-label="Side panel"
				title="Side panel   Space"
				aria-pressed={props.panelOpen}
				onClick={props.onPanel}
			>
				<PanelRight size={16} aria-hidden="true" />
			</button>
			<button
				type="button"
				className="icon-button"
				aria-label="Keys"
				title="Keys   ?"
				onClick={() => props.onKeys(true)}
			>
				<Keyboard size={16} aria-hidden="true" />
			</button>
			<UserMenu />
			<KeySheet keys={LIST_KEYS} open={props.keysOpen} onOpenChange={props.onKeys} />
		</header>
	);
}

export function KeySheet({
	keys: shown,
	open,
	onOpenChange,
}: {
	keys: [string, string][];
	open: boolean;
	onOpenChange: (open: boolean) => void;
}) {
	return (
		<Dialog.Root open={open} onOpenChange={onOpenChange}>
			<Dialog.Portal>
				<Dialog.Overlay className="scrim" />
				<Dialog.Content className="dialog key-sheet" aria-describedby={undefined}>
					<Dialog.Title className="panel-title">Keys of the study list</Dialog.Title>
					<dl>
						{shown.map(([keys, meaning]) => (
							<div key={keys}>
								<dt>
									{keys.split(" ").map((key) => (
										<kbd key={key}>{key}</kbd>
									))}
								</dt>
								<dd>{meaning}</dd>
							</div>
						))}
					</dl>
				</Dialog.Content>
			</Dialog.Portal>
		</Dialog.Root>
	);
}
