// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// What a pay token must not be. It keeps `feeWei` of every transfer, and during a transfer from or to `target` it
/// calls `target` back with `callback`, passing on whatever that reverts with.
contract HostileToken is ERC20("Hostile", "HOST") {
    uint256 public feeWei;
    address public target;
    bytes public callback;

    function mint(address to, uint256 amountWei) external {
        _mint(to, amountWei);
    }

    function turn(uint256 feeWei_, address target_, bytes calldata callback_) external {
        feeWei = feeWei_;
        target = target_;
        callback = callback_;
    }

    function _update(address from, address to, uint256 amountWei) internal override {
        super._update(from, to, amountWei);
        if (from == address(0) || to == address(0)) return;
        if (feeWei != 0) _burn(to, feeWei);
        if (callback.length != 0 && (from == target || to == target)) {
            (bool ok, bytes memory said) = target.call(callback);
            if (!ok) {
                assembly {
                    revert(add(said, 32), mload(said))
                }
            }
        }
    }
}
