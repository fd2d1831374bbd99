// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title Cairn bonds and rewards
/// @notice Holds two purses of one ERC-20 and never mixes them: the bonds contributors post for their devices, and
/// the rewards anyone may fund. Hubs attest one Merkle root per epoch; once `quorum` of them said byte for byte the
/// same and the challenge window has passed, every account may be paid what the tree says it has earned so far.
///
/// Nobody is an administrator. There is no function that moves a bond or a reward to an address of somebody's choice,
/// nothing can be upgraded, and nothing can be paused.
///
/// Amounts are wei of the token, times are seconds of block time. Amounts are stored in 96 bits (7.9e28 wei).
///
/// Invariants, tested in tests/integration/chain/test_chain_invariants.py:
///   token.balanceOf(this) >= bondedWei + fundedWei - claimedWei
///   sum of claimedWeiOf == claimedWei <= total of the active root <= fundedWei
contract CairnRewards is ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;

    /// What one account has put behind one device, in one slot. `unbondingWei` still stands behind the device until
    /// it is withdrawn.
    struct Bond {
        uint96 amountWei;
        uint96 unbondingWei;
        uint64 unbondAtSeconds;
    }

    /// @notice What the hubs say about one epoch. The digests are SHA-256 of the published manifest and epoch report;
    /// `registryBlock` is the block at which bonds were read.
    struct Attestation {
        uint64 epoch;
        bytes32 root;
        uint256 cumulativeTotalWei;
        bytes32 manifestDigest;
        bytes32 reportDigest;
        uint64 registryBlock;
    }

    /// @notice One line of a batch: pay `account` up to `cumulativeWei`, proven by `proof`.
    struct Claim {
        address account;
        uint256 cumulativeWei;
        bytes32[] proof;
    }

    /// @notice A root as readers see it. `root` is zero where there is none.
    struct Root {
        uint64 epoch;
        bytes32 root;
        uint256 cumulativeTotalWei;
        uint64 activatesAtSeconds;
    }

    /// What every claim touches, in one slot. `pendingActivatesAtSeconds` is zero where no root is pending.
    struct Ledger {
        uint96 claimedWei;
        uint96 activeTotalWei;
        uint64 pendingActivatesAtSeconds;
    }

    /// What only attesting and activating touch, in one slot. `activeEpoch` means nothing unless `isAnyActive`, which
    /// says what a look at the active root would, without reading another slot.
    struct Epochs {
        uint96 pendingTotalWei;
        uint64 pendingEpoch;
        uint64 activeEpoch;
        bool isAnyActive;
    }

    /// Both purses, in one slot: bonds held (unbonding ones too), and every wei ever funded.
    struct Purses {
        uint96 bondedWei;
        uint96 fundedWei;
    }

    /// @notice More attesters than this would make the constructor cost more than a block on some chains.
    uint256 public constant MAX_ATTESTERS = 64;
    /// @notice A year. Longer windows are taken for milliseconds given by mistake.
    uint64 public constant MAX_PERIOD_SECONDS = 365 days;

    /// @notice The token of bonds and rewards.
    IERC20 public immutable token;
    /// @notice How many attesters must say the same.
    uint256 public immutable quorum;
    /// @notice How long a root stays pending before claims may use it.
    uint64 public immutable challengeSeconds;
    /// @notice How long an unbonding amount still stands behind its device. Longer than the challenge window, so that
    /// nobody can leave with a bond before what the device said could be challenged.
    uint64 public immutable unbondingSeconds;
    /// @notice The most that one epoch may add to what has been earned.
    uint256 public immutable epochCapWei;

    /// @notice Who may attest.
    mapping(address account => bool) public isAttester;
    /// @notice What an account has been paid so far.
    mapping(address account => uint256) public claimedWeiOf;
    /// @notice How many attesters' latest word is this attestation (see `attestationHash`).
    mapping(bytes32 attestation => uint256) public votesFor;
    /// @notice An attester's latest word that did not itself complete a quorum.
    mapping(address attester => bytes32) public attestationOf;
    /// @notice Hash chain over every root ever posted: each link is the `attestationHash` of its epoch.
    bytes32 public historyHash;

    address[] private _attesters;
    mapping(bytes32 deviceKey => mapping(address owner => Bond)) private _bonds;
    Ledger private _ledger;
    bytes32 private _activeRoot;
    Epochs private _epochs;
    bytes32 private _pendingRoot;
    Purses private _purses;

    /// @notice `owner` added `amountWei`; its own bond on the device is now `bondWei`.
    event Bonded(bytes32 indexed deviceKey, address indexed owner, uint256 amountWei, uint256 bondWei);
    /// @notice `amountWei` left the bond of `owner`, which is now `bondWei`; `unbondingWei` may be withdrawn from
    /// `unbondAtSeconds` on.
    event Unbonding(
        bytes32 indexed deviceKey,
        address indexed owner,
        uint256 amountWei,
        uint256 bondWei,
        uint256 unbondingWei,
        uint64 unbondAtSeconds
    );
    /// @notice `amountWei` went back to `owner`, whose bond on the device stays `bondWei`.
    event Withdrawn(bytes32 indexed deviceKey, address indexed owner, uint256 amountWei, uint256 bondWei);
    /// @notice `from` gave `amountWei` to the rewards, `fundedWei` in all.
    event Funded(address indexed from, uint256 amountWei, uint256 fundedWei);
    /// @notice `attester` said `attestation`; `votes` attesters now say it.
    event Attested(uint64 indexed epoch, address indexed attester, bytes32 attestation, uint256 votes);
    /// @notice A quorum agreed. The root may be claimed against from `activatesAtSeconds` on.
    event RootPosted(
        uint64 indexed epoch,
        bytes32 root,
        uint256 cumulativeTotalWei,
        uint64 activatesAtSeconds,
        bytes32 manifestDigest,
        bytes32 reportDigest,
        uint64 registryBlock,
        bytes32 historyHash
    );
    /// @notice First use of a root after its challenge window.
    event RootActivated(uint64 indexed epoch, bytes32 root, uint256 cumulativeTotalWei);
    /// @notice `account` was paid `amountWei` and has now been paid `cumulativeWei` in all.
    event Claimed(address indexed account, uint256 amountWei, uint256 cumulativeWei);

    error BadConfiguration(string reason);
    error ZeroDeviceKey();
    error ZeroAmount();
    error BondTooSmall(bytes32 deviceKey, address owner, uint256 askedWei, uint256 bondWei);
    error NothingUnbonding(bytes32 deviceKey, address owner);
    error StillUnbonding(uint64 unbondAtSeconds);
    error AmountNotReceived(uint256 expectedWei, uint256 receivedWei);
    error NotAttester(address account);
    error AlreadyAttested(bytes32 attestation);
    error EpochOutOfOrder(uint64 expectedEpoch, uint64 givenEpoch);
    error RootStillPending(uint64 epoch, uint64 activatesAtSeconds);
    error ZeroRoot();
    error TotalDecreased(uint256 previousTotalWei, uint256 givenTotalWei);
    error EpochCapExceeded(uint256 addedWei, uint256 capWei);
    error NotFunded(uint256 totalWei, uint256 fundedWei);
    error NoActiveRoot();
    error InvalidProof(address account, uint256 cumulativeWei);
    error NothingToClaim(address account, uint256 claimedWei);
    error ClaimExceedsTotal(uint256 claimedWei, uint256 totalWei);

    /// @param token_ the ERC-20 of bonds and rewards; one that takes a fee on transfer is refused at the first stake
    /// @param attesters_ the hubs' accounts, distinct
    /// @param quorum_ how many of them must agree, 1..attesters_.length
    /// @param challengeSeconds_ how long a root stays pending
    /// @param unbondingSeconds_ how long a leaving bond stays, at least `challengeSeconds_`
    /// @param epochCapWei_ the most one epoch may add
    constructor(
        IERC20 token_,
        address[] memory attesters_,
        uint256 quorum_,
        uint64 challengeSeconds_,
        uint64 unbondingSeconds_,
        uint256 epochCapWei_
    ) {
        if (address(token_).code.length == 0) revert BadConfiguration("the token is not a contract");
        if (attesters_.length > MAX_ATTESTERS) revert BadConfiguration("too many attesters");
        if (quorum_ == 0 || quorum_ > attesters_.length) revert BadConfiguration("quorum must be 1..attesters");
        if (unbondingSeconds_ > MAX_PERIOD_SECONDS) revert BadConfiguration("unbonding takes over a year");
        if (challengeSeconds_ > unbondingSeconds_) revert BadConfiguration("unbonding ends before the challenge");
        if (epochCapWei_ == 0) revert BadConfiguration("the epoch cap is zero");
        for (uint256 i = 0; i < attesters_.length; ++i) {
            address attester = attesters_[i];
            if (attester == address(0) || isAttester[attester]) revert BadConfiguration("attester zero or twice");
            isAttester[attester] = true;
        }
        _attesters = attesters_;
        token = token_;
        quorum = quorum_;
        challengeSeconds = challengeSeconds_;
        unbondingSeconds = unbondingSeconds_;
        epochCapWei = epochCapWei_;
        historyHash = keccak256(abi.encode(block.chainid, address(this)));
    }

    // ------------------------------------------------------------------------------------------------ bonds

    /// @notice Put `amountWei` behind a device. Anyone may bond any device: every account has a bond of its own on
    /// it, and no bond touches another's. Which account's bond counts is said by the device itself, in the enrollment
    /// it signs; a stranger's is a deposit that earns nothing and takes nothing from anybody.
    /// @param deviceKey the device's raw 32-byte Ed25519 public key
    /// @param amountWei approved for this contract beforehand
    function stake(bytes32 deviceKey, uint256 amountWei) external nonReentrant {
        if (deviceKey == bytes32(0)) revert ZeroDeviceKey();
        if (amountWei == 0) revert ZeroAmount();
        Bond storage bond = _bonds[deviceKey][msg.sender];
        uint256 bondWei = uint256(bond.amountWei) + amountWei;
        bond.amountWei = bondWei.toUint96();
        _purses.bondedWei = (uint256(_purses.bondedWei) + amountWei).toUint96();
        _receiveExactly(amountWei);
        emit Bonded(deviceKey, msg.sender, amountWei, bondWei);
    }

    /// @notice Begin to take `amountWei` out of the caller's bond on a device. An amount already unbonding waits with
    /// it from now on, so that unbonding in small steps never shortens the wait.
    function unbond(bytes32 deviceKey, uint256 amountWei) external {
        if (amountWei == 0) revert ZeroAmount();
        Bond storage bond = _bonds[deviceKey][msg.sender];
        uint256 bondWei = bond.amountWei;
        if (amountWei > bondWei) revert BondTooSmall(deviceKey, msg.sender, amountWei, bondWei);
        bondWei -= amountWei;
        uint256 unbondingWei = uint256(bond.unbondingWei) + amountWei;
        uint64 unbondAtSeconds = uint64(block.timestamp) + unbondingSeconds;
        bond.amountWei = uint96(bondWei);
        bond.unbondingWei = unbondingWei.toUint96();
        bond.unbondAtSeconds = unbondAtSeconds;
        emit Unbonding(deviceKey, msg.sender, amountWei, bondWei, unbondingWei, unbondAtSeconds);
    }

    /// @notice Send what has finished unbonding of the caller's bond on a device back to the caller.
    function withdraw(bytes32 deviceKey) external nonReentrant {
        Bond storage bond = _bonds[deviceKey][msg.sender];
        uint256 amountWei = bond.unbondingWei;
        uint256 bondWei = bond.amountWei;
        if (amountWei == 0) revert NothingUnbonding(deviceKey, msg.sender);
        if (block.timestamp < bond.unbondAtSeconds) revert StillUnbonding(bond.unbondAtSeconds);
        bond.unbondingWei = 0;
        bond.unbondAtSeconds = 0;
        _purses.bondedWei -= uint96(amountWei);
        token.safeTransfer(msg.sender, amountWei);
        emit Withdrawn(deviceKey, msg.sender, amountWei, bondWei);
    }

    /// @notice The bond of `owner` on a device; all zero where there is none.
    function bondOf(
        bytes32 deviceKey,
        address owner
    ) external view returns (uint256 amountWei, uint256 unbondingWei, uint64 unbondAtSeconds) {
        Bond storage bond = _bonds[deviceKey][owner];
        return (bond.amountWei, bond.unbondingWei, bond.unbondAtSeconds);
    }

    // ---------------------------------------------------------------------------------------------- rewards

    /// @notice Give `amountWei` to the rewards. It can only ever leave through claims.
    function fund(uint256 amountWei) external nonReentrant {
        if (amountWei == 0) revert ZeroAmount();
        uint256 fundedWei_ = uint256(_purses.fundedWei) + amountWei;
        _purses.fundedWei = fundedWei_.toUint96();
        _receiveExactly(amountWei);
        emit Funded(msg.sender, amountWei, fundedWei_);
    }

    /// @notice Say what an epoch came to. Once `quorum` attesters have said exactly the same, the root is pending
    /// for `challengeSeconds`. The first epoch ever attested may have any number, each later one follows by one.
    /// An attester's latest word replaces an earlier one for the same epoch.
    function attest(
        uint64 epoch,
        bytes32 root,
        uint256 cumulativeTotalWei,
        bytes32 manifestDigest,
        bytes32 reportDigest,
        uint64 registryBlock
    ) external {
        if (!isAttester[msg.sender]) revert NotAttester(msg.sender);
        _activateIfDue();
        Attestation memory said =
            Attestation(epoch, root, cumulativeTotalWei, manifestDigest, reportDigest, registryBlock);
        _check(said);
        bytes32 attestation = _hash(historyHash, said);
        uint256 votes = _vote(epoch, attestation);
        if (votes >= quorum) _post(said, attestation);
    }

    /// @notice Pay `account` what the active root says it has earned and not yet been paid. Anyone may call: the
    /// money goes to `account` only.
    /// @param cumulativeWei everything `account` ever earned, as in its leaf
    /// @param proof sibling hashes, in the layout "standard-v1" of OpenZeppelin's merkle-tree library
    /// @return paidWei the difference that was paid
    function claim(
        address account,
        uint256 cumulativeWei,
        bytes32[] calldata proof
    ) external nonReentrant returns (uint256 paidWei) {
        _activateIfDue();
        paidWei = _owed(account, cumulativeWei);
        if (paidWei == 0) revert NothingToClaim(account, claimedWeiOf[account]);
        _settle(account, cumulativeWei, paidWei, proof);
        _recordPaid(paidWei);
        token.safeTransfer(account, paidWei);
    }

    /// @notice `claim` for many accounts at once. Lines with nothing left to pay are passed over, so that one
    /// account that claims for itself first cannot make the whole batch fail; a wrong proof fails it.
    /// @return paidWei the sum of what was paid
    function claimMany(Claim[] calldata claims) external nonReentrant returns (uint256 paidWei) {
        _activateIfDue();
        uint256[] memory linesWei = new uint256[](claims.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            Claim calldata line = claims[i];
            uint256 lineWei = _owed(line.account, line.cumulativeWei);
            if (lineWei == 0) continue;
            linesWei[i] = lineWei;
            paidWei += lineWei;
            _settle(line.account, line.cumulativeWei, lineWei, line.proof);
        }
        if (paidWei == 0) return 0;
        _recordPaid(paidWei);
        // The books are closed before the first coin moves.
        for (uint256 i = 0; i < claims.length; ++i) {
            if (linesWei[i] != 0) token.safeTransfer(claims[i].account, linesWei[i]);
        }
    }

    /// @notice Make a pending root whose window has passed the active one. Claims and attestations do it themselves.
    function activate() external {
        _activateIfDue();
    }

    // ---------------------------------------------------------------------------------------------- reading

    /// @notice The root claims are checked against in this block.
    function activeRoot() external view returns (Root memory) {
        if (_isDue()) return _pending();
        return Root(_epochs.activeEpoch, _activeRoot, _ledger.activeTotalWei, 0);
    }

    /// @notice The root that waits for the end of its challenge window.
    function pendingRoot() external view returns (Root memory none) {
        return _isDue() ? none : _pending();
    }

    /// @notice Everything paid out so far.
    function claimedWei() external view returns (uint256) {
        return _ledger.claimedWei;
    }

    /// @notice Everything ever given to the rewards.
    function fundedWei() external view returns (uint256) {
        return _purses.fundedWei;
    }

    /// @notice All bonds held, unbonding ones included.
    function bondedWei() external view returns (uint256) {
        return _purses.bondedWei;
    }

    /// @notice All attesters, in the order of the constructor.
    function attesters() external view returns (address[] memory) {
        return _attesters;
    }

    /// @notice The identity of an attestation that follows `previousHistoryHash`.
    function attestationHash(
        bytes32 previousHistoryHash,
        Attestation calldata said
    ) external pure returns (bytes32) {
        return _hash(previousHistoryHash, said);
    }

    /// @notice The leaf of `account` in this contract's trees. Hashed twice, so that no inner node of a tree (the
    /// hash of 64 bytes) can be passed off as a leaf; bound to this chain and contract, so that no tree counts twice.
    function leafOf(address account, uint256 cumulativeWei) public view returns (bytes32) {
        bytes32 inner = keccak256(abi.encode(block.chainid, address(this), account, cumulativeWei));
        return keccak256(bytes.concat(inner));
    }

    // ---------------------------------------------------------------------------------------------- private

    /// Pull `amountWei` from the caller and insist that all of it arrived: a token that keeps a fee would leave the
    /// purses larger than what is held.
    function _receiveExactly(uint256 amountWei) private {
        uint256 beforeWei = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amountWei);
        uint256 receivedWei = token.balanceOf(address(this)) - beforeWei;
        if (receivedWei != amountWei) revert AmountNotReceived(amountWei, receivedWei);
    }

    function _check(Attestation memory said) private view {
        if (_ledger.pendingActivatesAtSeconds != 0) {
            revert RootStillPending(_epochs.pendingEpoch, _ledger.pendingActivatesAtSeconds);
        }
        if (_epochs.isAnyActive && said.epoch != _epochs.activeEpoch + 1) {
            revert EpochOutOfOrder(_epochs.activeEpoch + 1, said.epoch);
        }
        if (said.root == bytes32(0)) revert ZeroRoot();
        uint256 previousWei = _ledger.activeTotalWei;
        if (said.cumulativeTotalWei < previousWei) revert TotalDecreased(previousWei, said.cumulativeTotalWei);
        uint256 addedWei = said.cumulativeTotalWei - previousWei;
        if (addedWei > epochCapWei) revert EpochCapExceeded(addedWei, epochCapWei);
        // Both sides are cumulative, so this is "what is still to be claimed <= rewards still held".
        uint256 fundedWei_ = _purses.fundedWei;
        if (said.cumulativeTotalWei > fundedWei_) revert NotFunded(said.cumulativeTotalWei, fundedWei_);
    }

    /// Count the caller's word. Hashes chain over the history, so a word about an earlier epoch cannot count again.
    function _vote(uint64 epoch, bytes32 attestation) private returns (uint256 votes) {
        bytes32 earlier = attestationOf[msg.sender];
        if (earlier == attestation) revert AlreadyAttested(attestation);
        if (earlier != bytes32(0)) {
            --votesFor[earlier];
            attestationOf[msg.sender] = bytes32(0);
        }
        votes = votesFor[attestation] + 1;
        emit Attested(epoch, msg.sender, attestation, votes);
        // The word that completes the quorum posts the root at once: nothing would ever read it again.
        if (votes >= quorum) return votes;
        votesFor[attestation] = votes;
        attestationOf[msg.sender] = attestation;
    }

    function _post(Attestation memory said, bytes32 attestation) private {
        uint64 activatesAtSeconds = uint64(block.timestamp) + challengeSeconds;
        _ledger.pendingActivatesAtSeconds = activatesAtSeconds;
        _pendingRoot = said.root;
        _epochs.pendingTotalWei = said.cumulativeTotalWei.toUint96();
        _epochs.pendingEpoch = said.epoch;
        historyHash = attestation;
        emit RootPosted(
            said.epoch,
            said.root,
            said.cumulativeTotalWei,
            activatesAtSeconds,
            said.manifestDigest,
            said.reportDigest,
            said.registryBlock,
            attestation
        );
    }

    function _activateIfDue() private {
        if (!_isDue()) return;
        Epochs memory epochs = _epochs;
        bytes32 root = _pendingRoot;
        _ledger.activeTotalWei = epochs.pendingTotalWei;
        _ledger.pendingActivatesAtSeconds = 0;
        _activeRoot = root;
        _epochs.activeEpoch = epochs.pendingEpoch;
        _epochs.isAnyActive = true;
        emit RootActivated(epochs.pendingEpoch, root, epochs.pendingTotalWei);
    }

    function _recordPaid(uint256 paidWei) private {
        Ledger memory ledger = _ledger;
        uint256 claimedWei_ = uint256(ledger.claimedWei) + paidWei;
        if (claimedWei_ > ledger.activeTotalWei) revert ClaimExceedsTotal(claimedWei_, ledger.activeTotalWei);
        ledger.claimedWei = uint96(claimedWei_);
        _ledger = ledger;
    }

    function _owed(address account, uint256 cumulativeWei) private view returns (uint256) {
        uint256 alreadyWei = claimedWeiOf[account];
        return cumulativeWei > alreadyWei ? cumulativeWei - alreadyWei : 0;
    }

    /// Check the proof and write down that `account` has had `cumulativeWei`; the coins move later.
    function _settle(address account, uint256 cumulativeWei, uint256 paidWei, bytes32[] calldata proof) private {
        bytes32 root = _activeRoot;
        if (root == bytes32(0)) revert NoActiveRoot();
        if (!MerkleProof.verifyCalldata(proof, root, leafOf(account, cumulativeWei))) {
            revert InvalidProof(account, cumulativeWei);
        }
        claimedWeiOf[account] = cumulativeWei;
        emit Claimed(account, paidWei, cumulativeWei);
    }

    function _isDue() private view returns (bool) {
        uint64 activatesAtSeconds = _ledger.pendingActivatesAtSeconds;
        return activatesAtSeconds != 0 && block.timestamp >= activatesAtSeconds;
    }

    function _pending() private view returns (Root memory none) {
        if (_ledger.pendingActivatesAtSeconds == 0) return none;
        return
            Root(
                _epochs.pendingEpoch,
                _pendingRoot,
                _epochs.pendingTotalWei,
                _ledger.pendingActivatesAtSeconds
            );
    }

    function _hash(bytes32 previousHistoryHash, Attestation memory said) private pure returns (bytes32) {
        return keccak256(abi.encode(previousHistoryHash, said));
    }
}
