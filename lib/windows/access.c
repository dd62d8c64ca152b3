/*
 * Who may use an object: its owner, a group and all others, each to read or to
 * write, by the mode bits that Linux has, as a list of rights.
 */
#include "win32.h"

#include <mapring/mapring.h>

/* What a process's token tells of its user, or of his group. The SID lies in the buffer. */
static PSID token_sid(TOKEN_INFORMATION_CLASS what, union win32_sid *buffer)
{
    HANDLE token;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
        return NULL;
    DWORD size;
    BOOL told = GetTokenInformation(token, what, buffer, sizeof *buffer, &size);
    CloseHandle(token);
    if (!told)
        return NULL;
    switch (what) {
    case TokenUser:
        return buffer->user.User.Sid;
    case TokenOwner:
        return buffer->owner.Owner;
    default:
        return buffer->group.PrimaryGroup;
    }
}

static bool grant(struct win32_access *access, PSID who, uint32_t bits)
{
    DWORD rights = (bits & 4) != 0 ? GENERIC_READ | GENERIC_EXECUTE : 0;
    if ((bits & 2) != 0)
        rights |= GENERIC_WRITE;
    return rights == 0 || AddAccessAllowedAce(&access->list.acl, ACL_REVISION, rights, who);
}

int32_t win32_access_of_mode(uint32_t mode, struct win32_access *access)
{
    SID_IDENTIFIER_AUTHORITY world = {SECURITY_WORLD_SID_AUTHORITY};
    PSID user = token_sid(TokenUser, &access->user);
    PSID group = token_sid(TokenPrimaryGroup, &access->group);
    PSID others = &access->others.sid;
    if (user == NULL || group == NULL || !InitializeSid(others, &world, 1))
        return MAPRING_SYSTEM_ERROR;
    *GetSidSubAuthority(others, 0) = SECURITY_WORLD_RID;
    if (!InitializeAcl(&access->list.acl, sizeof access->list, ACL_REVISION) || !grant(access, user, mode >> 6 & 7) ||
        !grant(access, group, mode >> 3 & 7) || !grant(access, others, mode & 7) ||
        !InitializeSecurityDescriptor(&access->descriptor, SECURITY_DESCRIPTOR_REVISION) ||
        !SetSecurityDescriptorOwner(&access->descriptor, user, FALSE) ||
        !SetSecurityDescriptorDacl(&access->descriptor, TRUE, &access->list.acl, FALSE) ||
        !SetSecurityDescriptorControl(&access->descriptor, SE_DACL_PROTECTED, SE_DACL_PROTECTED))
        return MAPRING_SYSTEM_ERROR;
    access->attributes = (SECURITY_ATTRIBUTES){
        .nLength = sizeof access->attributes,
        .lpSecurityDescriptor = &access->descriptor,
    };
    return MAPRING_OK;
}

bool win32_is_own(HANDLE object)
{
    union {
        SECURITY_DESCRIPTOR descriptor;
        uint8_t bytes[sizeof(SECURITY_DESCRIPTOR) + SECURITY_MAX_SID_SIZE + 64];
    } told;
    DWORD size;
    PSID owner;
    BOOL defaulted;
    if (!GetKernelObjectSecurity(object, OWNER_SECURITY_INFORMATION, &told.descriptor, sizeof told, &size) ||
        !GetSecurityDescriptorOwner(&told.descriptor, &owner, &defaulted) || owner == NULL)
        return false;
    /* What an administrator makes without a list of his own belongs to the administrators. */
    union win32_sid user, usual;
    PSID user_sid = token_sid(TokenUser, &user);
    PSID usual_sid = token_sid(TokenOwner, &usual);
    return (user_sid != NULL && EqualSid(owner, user_sid)) || (usual_sid != NULL && EqualSid(owner, usual_sid));
}
